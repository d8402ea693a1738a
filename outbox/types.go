package outbox

import (
	"strconv"
	"strings"
)

// Type is a type of events.
type Type struct {
	Name     string // "transfer.posted"
	Resource string // what data is: the name of its schema
	Version  int    // of that schema: it grows when a member goes away or changes its meaning
	Says     string // when it is written
}

// types are all that there are. docs/events.md is made of this table, and a test
// compares it with what the code writes.
var types = []Type{
	{"account.opened", "account", 1, "An account was opened, by a client or because a payment needed it."},
	{"account.updated", "account", 1, "Metadata or the floor of an account changed."},
	{"account.closed", "account", 1, "An account was closed."},
	{"transfer.pending", "transfer", 1, "A transfer holds money that is not moved yet."},
	{"transfer.posted", "transfer", 1, "A transfer moved money, at once or by posting its hold."},
	{"transfer.voided", "transfer", 1, "A hold was released."},
	{"transfer.expired", "transfer", 1, "A hold was released because its time was over."},
	{"transfer.reversed", "transfer", 1, "A posted transfer was undone by another one, which has its own transfer.posted."},
	{"payment.created", "payment", 1, "A payment was made. Its status says whether it waits to be confirmed or is at work."},
	{"payment.processing", "payment", 1, "A payment is at its gateway, or its outcome is not known."},
	{"payment.requires_action", "payment", 1, "The payer must do something at next_action.url."},
	{"payment.authorized", "payment", 1, "The money is held at the gateway, to be captured."},
	{"payment.succeeded", "payment", 1, "The money was captured."},
	{"payment.failed", "payment", 1, "The payment was declined."},
	{"payment.canceled", "payment", 1, "The payment was called off; no money moved."},
	{"payment.needs_review", "payment", 1, "What happened is not certain, and a human must decide."},
	{"payment.resolved", "payment", 1, "A human decided what was in doubt."},
	{"refund.created", "refund", 1, "A refund was written down, and goes to the gateway."},
	{"refund.processing", "refund", 1, "A refund is at its gateway again."},
	{"refund.succeeded", "refund", 1, "The money was given back."},
	{"refund.failed", "refund", 1, "The gateway refused to give the money back."},
	{"refund.needs_review", "refund", 1, "Whether the money was given back is not certain, and a human must decide."},
}

// Types are the types of events that there are, in the order of docs/events.md.
func Types() []Type { return append([]Type(nil), types...) }

// schemas are the URIs of types by their names.
var schemas = func() map[string]string {
	byName := make(map[string]string, len(types))
	for _, t := range types {
		byName[t.Name] = t.Schema()
	}
	return byName
}()

// Schema is the URI of the schema of the type's data.
func (t Type) Schema() string {
	return "urn:oncepay:schema:" + t.Resource + ":" + strconv.Itoa(t.Version)
}

// SchemaOf is the URI of the schema of a type's data. One that is not known was written by
// a later version of the program: it is sent as what its name says.
func SchemaOf(name string) string {
	if s, ok := schemas[name]; ok {
		return s
	}
	resource, _, _ := strings.Cut(name, ".")
	return "urn:oncepay:schema:" + resource
}
