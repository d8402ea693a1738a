package web

import (
	"context"
	"errors"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
)

// AccountReader reads accounts and their statements.
type AccountReader interface {
	// Account returns an account, or nil if there is none.
	Account(ctx context.Context, r ledger.Ref) (*ledger.Account, error)

	// AccountAt returns an account with its balance as it was at a moment, or nil
	// if it was not open yet.
	AccountAt(ctx context.Context, r ledger.Ref, at time.Time) (*ledger.Account, error)

	// Accounts lists a tenant's accounts, newest first.
	Accounts(ctx context.Context, tenant string, p engine.Page) (engine.List[*ledger.Account], error)

	// Entries lists an account's entries, newest first.
	Entries(ctx context.Context, r ledger.Ref, p engine.Page) (engine.List[ledger.Entry], error)
}

var openAccount = &operation{name: "POST /v1/accounts", status: 201, place: "/v1/accounts/", read: readOpenAccount}

func readOpenAccount(f *form, tenant, _ string, body jcs.Value) ledger.Command {
	c := ledger.OpenAccount{Ref: ledger.Ref{Tenant: tenant}}
	for name, v := range body.Members() {
		switch name {
		case "id":
			c.ID = f.accountID("/id", v)
		case "currency":
			c.Currency = f.currency("/currency", v)
		case "min_balance":
			c.Floor = f.floor("/min_balance", v)
		case "metadata":
			c.Metadata = f.metadata("/metadata", v)
		default:
			f.unknown(name)
		}
	}
	f.require(body, "currency")
	return c
}

var closeAccount = &operation{name: "POST /v1/accounts/{id}/close", status: 200, read: readCloseAccount}

func readCloseAccount(f *form, tenant, id string, body jcs.Value) ledger.Command {
	f.empty(body)
	return ledger.CloseAccount{Ref: ledger.Ref{Tenant: tenant, ID: id}}
}

// updateAccount is PUT /v1/accounts/{id}: idempotent by itself, so it needs no
// key.
func (x *exchange) updateAccount() {
	if x.hasQuery() {
		return
	}
	s := x.api.borrow()
	defer x.api.giveBack(s)
	body, bad := x.readBody(s, oneBody)
	if bad != nil {
		x.refuseBody(bad)
		return
	}
	var f form
	c := readUpdateAccount(&f, x.ref(), body)
	if len(f.issues) > 0 {
		x.invalid(f.issues)
		return
	}
	o := &order{op: updated, requestID: x.id}
	o.Job = engine.Job{Tenant: c.Tenant, Command: c, Reply: o.reply}
	x.answerUnkeyed(x.do(&o.Job, DefaultWait))
}

var updated = &operation{status: 200}

func readUpdateAccount(f *form, r ledger.Ref, body jcs.Value) ledger.UpdateAccount {
	c := ledger.UpdateAccount{Ref: r}
	if !f.object(body) {
		return c
	}
	for name, v := range body.Members() {
		switch name {
		case "min_balance":
			c.Floor = new(f.floor("/min_balance", v))
		case "metadata":
			c.Metadata = f.metadata("/metadata", v)
		default:
			f.unknown(name)
		}
	}
	return c
}

// ref names the resource in the path.
func (x *exchange) ref() ledger.Ref {
	return ledger.Ref{Tenant: x.caller.tenant.id, ID: x.r.PathValue("id")}
}

// showAccount is GET /v1/accounts/{id}, also as it was.
func (x *exchange) showAccount() {
	q := x.query("at")
	at := q.moment("at")
	if x.mistaken(q) {
		return
	}
	a, err := x.readAccount(at)
	switch {
	case err != nil:
		x.failed("read an account", err)
	case a == nil && !at.IsZero():
		x.refuse(notFound, "There is no such account, or there was none at that time.")
	case a == nil:
		x.refuse(notFound, "There is no such account.")
	default:
		x.json(a.AppendJSON(nil))
	}
}

func (x *exchange) readAccount(at time.Time) (*ledger.Account, error) {
	if at.IsZero() {
		return x.api.store.Account(x.r.Context(), x.ref())
	}
	return x.api.store.AccountAt(x.r.Context(), x.ref(), at)
}

// listAccounts is GET /v1/accounts.
func (x *exchange) listAccounts() {
	q := x.query(paging...)
	page := q.page()
	if x.mistaken(q) {
		return
	}
	list, err := x.api.store.Accounts(x.r.Context(), x.caller.tenant.id, page)
	answerList(x, list, err, func(b []byte, a *ledger.Account) []byte { return a.AppendJSON(b) })
}

// listEntries is GET /v1/accounts/{id}/entries.
func (x *exchange) listEntries() {
	q := x.query(paging...)
	page := q.page()
	if x.mistaken(q) {
		return
	}
	a, err := x.api.store.Account(x.r.Context(), x.ref())
	switch {
	case err != nil:
		x.failed("read an account", err)
		return
	case a == nil:
		x.refuse(notFound, "There is no such account.")
		return
	}
	list, err := x.api.store.Entries(x.r.Context(), x.ref(), page)
	answerList(x, list, err, func(b []byte, e ledger.Entry) []byte { return e.AppendJSON(b) })
}

// answerUnkeyed sends what became of a job without a key. There is no other
// request that it could be waiting for, so one that is still at work after so
// long waits for the store.
func (x *exchange) answerUnkeyed(o engine.Outcome) {
	switch {
	case errors.Is(o.Err, engine.ErrInProgress):
		x.refuse(storeUnavailable, "The store takes too long, and the request is still at work: it may be done yet. Send the same request again, which does no harm.")
		return
	case o.Err != nil:
		c, detail := x.refusal(o.Err)
		x.refuse(c, detail)
		return
	}
	x.send(o.Answer)
}
