package sandbox

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/webhook"
)

// An instruction is what somebody sends: an operation that is to be executed.
type instruction struct {
	operation string // the idempotency key

	kind, payment           string
	target, targetOperation string // what a capture, void or refund is of: one of them
	amount                  int64  // 0: all of it, of a void
	currency                string
	final                   bool // nothing more will be captured
	paymentMethod           string

	returnURL, reference, customer   string
	description, statementDescriptor string
	options                          map[string]string
	notifyURL, notifySecret          string

	notAfter    time.Time // when it may be executed at the latest; zero: at any time
	fingerprint [sha256.Size]byte
}

// Bounds of a body: an instruction has some 20 members.
var bodyLimits = jcs.Limits{Depth: 4, Nodes: 512}

// maxText is of each text, in bytes: an API that takes longer ones has them
// refused here, when it is too late to ask for others.
const maxText = 2000

// parseInstruction reads a body. A member that it does not know is refused: a
// name that is misspelt would be a fault that is not injected.
func parseInstruction(operation string, body []byte) (*instruction, *refusal) {
	v, err := jcs.Parse(body, bodyLimits)
	if err != nil {
		return nil, refused(http.StatusBadRequest, "bad_json", "%v", err)
	}
	if v.Kind() != jcs.Object {
		return nil, invalid("the body is not an object")
	}
	in := &instruction{operation: operation, final: true}
	for name, value := range v.Members() {
		if r := in.set(name, value); r != nil {
			return nil, r
		}
	}
	if r := in.check(); r != nil {
		return nil, r
	}
	in.fingerprint = fingerprint(v)
	return in, nil
}

// fingerprint tells one body from another. Where to tell what became of it is
// no part of what is asked.
func fingerprint(v jcs.Value) [sha256.Size]byte {
	return sha256.Sum256(v.Without("notify").AppendCanonical(nil))
}

// set takes over one member.
func (in *instruction) set(name string, v jcs.Value) *refusal {
	if to, ok := in.texts()[name]; ok {
		return setText(to, name, v)
	}
	switch name {
	case "amount":
		n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
		if in.amount = n; err != nil || n < 0 {
			return invalid("amount is not a whole number of minor units")
		}
	case "final":
		in.final = string(v.Raw()) == "true"
		if v.Kind() != jcs.Bool {
			return invalid("final is not true or false")
		}
	case "options":
		if err := json.Unmarshal(v.Raw(), &in.options); err != nil {
			return invalid("options is not an object of strings")
		}
	case "notify":
		return in.setNotify(v)
	default:
		return invalid("there is no member %q", name)
	}
	return nil
}

func (in *instruction) texts() map[string]*string {
	return map[string]*string{
		"kind": &in.kind, "payment": &in.payment, "target": &in.target, "target_operation": &in.targetOperation,
		"currency": &in.currency, "payment_method": &in.paymentMethod, "return_url": &in.returnURL,
		"reference": &in.reference, "customer": &in.customer, "description": &in.description,
		"statement_descriptor": &in.statementDescriptor,
	}
}

func setText(to *string, name string, v jcs.Value) *refusal {
	text, ok := v.Text()
	if *to = text; !ok || len(text) > maxText {
		return invalid("%s is not a string of at most %d bytes", name, maxText)
	}
	return nil
}

func (in *instruction) setNotify(v jcs.Value) *refusal {
	for name, member := range v.Members() {
		to, ok := map[string]*string{"url": &in.notifyURL, "secret": &in.notifySecret}[name]
		if !ok {
			return invalid("there is no member notify.%q", name)
		}
		if r := setText(to, "notify."+name, member); r != nil {
			return r
		}
	}
	if !isWebURL(in.notifyURL) {
		return invalid("notify.url is not a URL of http or https")
	}
	if _, err := webhook.ParseSecret(in.notifySecret); err != nil {
		return invalid("notify.secret: %v", err)
	}
	return nil
}

// check says what is wrong with the instruction by itself. What is wrong with
// it for its charge is the rules' business.
func (in *instruction) check() *refusal {
	if in.payment == "" {
		return invalid("payment is missing")
	}
	if _, err := money.ParseCurrency(in.currency); err != nil && !(in.kind == kindVoid && in.currency == "") {
		return invalid("currency: %v", err)
	}
	if in.amount == 0 && in.kind != kindVoid {
		return invalid("amount is not positive")
	}
	if in.returnURL != "" && !isWebURL(in.returnURL) {
		return invalid("return_url is not a URL of http or https")
	}
	return in.checkKind()
}

func (in *instruction) checkKind() *refusal {
	switch in.kind {
	case kindCharge, kindAuthorize:
		if _, known := behaviours[in.paymentMethod]; !known {
			return refused(http.StatusUnprocessableEntity, "no_such_payment_method", "there is no payment method %q here", in.paymentMethod)
		}
	case kindCapture, kindVoid, kindRefund:
		if (in.target == "") == (in.targetOperation == "") {
			return invalid("a %s has a target or a target_operation", in.kind)
		}
	default:
		return invalid("kind is not charge, authorize, capture, void or refund")
	}
	return checkOptions(in.options)
}

// checkOptions refuses a behaviour that does not exist. Options of other names
// mean nothing here, and are none of our business.
func checkOptions(options map[string]string) *refusal {
	for _, kind := range []string{kindCapture, kindVoid, kindRefund} {
		chosen, ok := options[kind]
		if !ok {
			continue
		}
		if b, known := behaviours[chosen]; !known || b.usual.Action {
			return refused(http.StatusUnprocessableEntity, "no_such_payment_method", "options.%s cannot be %q", kind, chosen)
		}
	}
	return nil
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
