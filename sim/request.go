package sim

import (
	"strconv"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// kind is what a request asks for.
type kind int

const (
	open kind = iota
	create
	post
	void
	reverse
	shut
	update // PUT: without a key
	buy
	confirm // without a key
	capture
	cancel
	refund
	expire // the server's own
	own    // also the server's own, about payments
)

// request is a request as a client writes it: it is sent as often as need be and
// never changes.
type request struct {
	kind      kind
	key       once.Key // the tenant always, the id if it has one
	operation string
	body      string // canonical
	path      string
	print     once.Fingerprint
	command   ledger.Command
	target    string // the transfer or account it is about, if it is there already
	want      ledger.CreateTransfer
	amount    *int64                    // of a post
	pays      func(pay.Ask) pay.Command // about payments: instead of command
	buys      purchase
}

func (r *request) keyed() bool { return r.key.ID != "" }

// name is for people who read a trace or a failure.
func (r *request) name() string {
	return r.key.Tenant + " " + r.key.ID + " " + r.operation + r.target + " " + r.body
}

func (r *request) same(o *request) bool { return r.path == o.path && r.body == o.body }

// creates says whether success makes something that carries the key: a transfer
// as its reference, a payment in its metadata.
func (r *request) creates() bool { return r.kind == create || r.kind == buy }

// posts is how much of a hold the request posts.
func (r *request) posts(t *ledger.Transfer) int64 {
	if r.amount != nil {
		return *r.amount
	}
	return t.Amount
}

// seal makes the fingerprint, as web does.
func (r *request) seal(h *once.Hasher) *request {
	r.print = h.Request("POST", r.path, []byte(r.body))
	return r
}

const currency = money.Currency("EUR")

func openRequest(key once.Key, id string, floor ledger.Floor) *request {
	body := `{"currency":"EUR","id":"` + id + `"}`
	if floor.None {
		body = `{"currency":"EUR","id":"` + id + `","min_balance":null}`
	}
	return &request{
		kind: open, key: key, operation: "POST /v1/accounts", path: "/v1/accounts", body: body, target: id,
		command: ledger.OpenAccount{Ref: ledger.Ref{Tenant: key.Tenant, ID: id}, Currency: currency, Floor: floor},
	}
}

// createRequest asks for a transfer. Its reference is its key, so that the
// ledger itself tells how often the key was executed.
func createRequest(key once.Key, c ledger.CreateTransfer) *request {
	c.Tenant, c.Reference, c.Currency = key.Tenant, key.ID, currency
	b := strconv.AppendInt([]byte(`{"amount":`), c.Amount, 10)
	b = append(append(b, `,"currency":"EUR","from":"`...), c.From...)
	if c.Pending {
		b = append(b, `","pending":true,"expires_at":"`...)
		b = c.ExpiresAt.AppendFormat(b, jcs.TimeFormat)
	}
	b = append(append(append(b, `","to":"`...), c.To...), `"}`...)
	return &request{
		kind: create, key: key, operation: "POST /v1/transfers", path: "/v1/transfers", body: string(b), command: c, want: c,
	}
}

// malformed asks for something that web refuses before the ledger sees it.
func malformed(key once.Key) *request {
	refusal := &ledger.Refusal{Code: ledger.Invalid, Field: "/amount", Detail: "an amount is an integer"}
	return &request{
		kind: create, key: key, operation: "POST /v1/transfers", path: "/v1/transfers", body: `{"amount":"1"}`,
		command: ledger.Refused(refusal),
	}
}

func postRequest(key once.Key, transfer string, amount *int64) *request {
	r := &request{
		kind: post, key: key, operation: "POST /v1/transfers/{id}/post", path: "/v1/transfers/" + transfer + "/post", body: `{}`,
		target: transfer, amount: amount,
		command: ledger.PostTransfer{Ref: ledger.Ref{Tenant: key.Tenant, ID: transfer}, Amount: amount},
	}
	if amount != nil {
		r.body = `{"amount":` + strconv.FormatInt(*amount, 10) + `}`
	}
	return r
}

func voidRequest(key once.Key, transfer string) *request {
	return &request{
		kind: void, key: key, operation: "POST /v1/transfers/{id}/void", path: "/v1/transfers/" + transfer + "/void", body: `{}`,
		target: transfer, command: ledger.VoidTransfer{Ref: ledger.Ref{Tenant: key.Tenant, ID: transfer}},
	}
}

func reverseRequest(key once.Key, transfer string) *request {
	return &request{
		kind: reverse, key: key, operation: "POST /v1/transfers/{id}/reverse", path: "/v1/transfers/" + transfer + "/reverse", body: `{}`,
		target: transfer, command: ledger.ReverseTransfer{Ref: ledger.Ref{Tenant: key.Tenant, ID: transfer}},
	}
}

func shutRequest(key once.Key, account string) *request {
	return &request{
		kind: shut, key: key, operation: "POST /v1/accounts/{id}/close", path: "/v1/accounts/" + account + "/close", body: `{}`,
		target: account, command: ledger.CloseAccount{Ref: ledger.Ref{Tenant: key.Tenant, ID: account}},
	}
}

func updateRequest(tenant, account, label string) *request {
	return &request{
		kind: update, key: once.Key{Tenant: tenant}, operation: "PUT /v1/accounts/", target: account, body: `{"metadata":{"label":"` + label + `"}}`,
		command: ledger.UpdateAccount{Ref: ledger.Ref{Tenant: tenant, ID: account}, Metadata: map[string]string{"label": label}},
	}
}

// reply renders the answer, as web does.
func (r *request) reply(result ledger.Result, refusal *ledger.Refusal) once.Answer {
	if refusal != nil {
		return refused(refusal)
	}
	a := once.Answer{Status: 200, Header: []once.Field{{Name: "Content-Type", Value: "application/json"}}}
	if r.kind == open || r.kind == create || r.kind == reverse {
		a.Status = 201
		a.Header = append(a.Header, once.Field{Name: "Location", Value: r.path + "/" + result.ID()})
	}
	if result.Account != nil {
		a.Body = result.Account.AppendJSON(nil)
	} else {
		a.Body = result.Transfer.AppendJSON(nil)
	}
	return a
}

func status(c ledger.Code) int {
	switch c {
	case ledger.NotFound:
		return 404
	case ledger.AlreadyExists, ledger.StateConflict, ledger.InProgress, pay.ReferenceConflict:
		return 409
	case ledger.Unavailable:
		return 503
	}
	return 422
}
