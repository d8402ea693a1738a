package contract

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// request is what a client of a history asks for.
type request struct {
	tenant  string
	key     string // "" for none
	words   string // what is asked for: the same words are the same request
	command ledger.Command
	payment func(pay.Ask) pay.Command // asks something of a payment instead
	job     *engine.Job
}

var tenants = []string{"acme", "umbrella"}

// submit brings a request to the Step.
func (h *history) submit(r *request) {
	name := fmt.Sprintf("#%d", len(h.names))
	h.write("%s at %s: %s %s key=%q", name, stamp(h.now), r.tenant, r.words, r.key)
	j := &engine.Job{Tenant: r.tenant, Command: r.command, NoWait: h.one(20), Reply: h.reply}
	var k once.Key
	if r.key != "" {
		k = once.Key{Tenant: r.tenant, ID: r.key}
	}
	if r.payment != nil {
		j.Payment, j.RequestID = r.payment(pay.Ask{Key: k, RequestID: name, House: h.house()}), name
	}
	if r.key != "" {
		j.Request = once.Request{
			Key: k, Operation: operation(j),
			Fingerprint: once.NewHasher([]byte("secret"), r.tenant).Request("POST", "/", []byte(r.words)),
		}
	}
	r.job, h.names[j] = j, name
	h.requests = append(h.requests, r)
	h.step.Submit(j, h.now)
}

// reply renders what a face would.
func (h *history) reply(r ledger.Result, refusal *ledger.Refusal) once.Answer {
	switch {
	case refusal != nil:
		return once.Answer{Status: 422, Body: fmt.Appendf(nil, "%s %s %s", refusal.Code, refusal.Field, refusal.Detail)}
	case r.Account != nil:
		return once.Answer{Status: 200, Header: []once.Field{{Name: "Account", Value: r.ID()}}, Body: r.Account.AppendJSON(nil)}
	}
	if !slices.Contains(h.made, r.Transfer.Ref) {
		h.made = append(h.made, r.Transfer.Ref)
	}
	return once.Answer{Status: 201, Header: []once.Field{{Name: "Location", Value: r.ID()}, {Name: "Kind", Value: "transfer"}}, Body: r.Transfer.AppendJSON(nil)}
}

// request is a new request, or one that came before: as it was, or with its key
// for something else.
func (h *history) request() *request {
	r := h.fresh()
	if len(h.requests) == 0 || h.one(2) {
		return r
	}
	before := h.requests[h.luck.IntN(len(h.requests))]
	if h.one(2) { // a retry is most often of what came not long ago
		before = h.requests[max(0, len(h.requests)-1-h.luck.IntN(8))]
	}
	again := &request{tenant: before.tenant, key: before.key, words: before.words, command: before.command, payment: before.payment}
	if h.one(3) && r.tenant == before.tenant && before.key != "" {
		again.words, again.command, again.payment = r.words, r.command, r.payment
	}
	return again
}

func (h *history) fresh() *request {
	r := &request{tenant: tenants[h.luck.IntN(len(tenants))]}
	switch n := h.luck.IntN(100); {
	case n >= 60:
		h.askPayment(r)
		return r
	case n < 3:
		r.words, r.command = h.open(h.account(r.tenant))
	case n < 8:
		r.words, r.command = h.update(r.tenant)
	case n < 9:
		ref := h.account(r.tenant)
		r.words, r.command = "close "+ref.ID, ledger.CloseAccount{Ref: ref}
	case n < 35 || len(h.made) == 0:
		r.words, r.command = h.transfer(r.tenant)
	default:
		h.settle(r)
	}
	_, idempotent := r.command.(ledger.UpdateAccount)
	if !idempotent || h.one(3) {
		r.key = fmt.Sprintf("key-%d", len(h.names)) // not that of another yet
	}
	return r
}

// openNumber opens one of the accounts that a history begins with.
func (h *history) openNumber(i int) *request {
	r := &request{tenant: tenants[i%len(tenants)], key: fmt.Sprintf("open-%d", i)}
	r.words, r.command = h.open(ledger.Ref{Tenant: r.tenant, ID: fmt.Sprintf("account-%d", i/len(tenants))})
	return r
}

// operation is what the API calls what a job does; an audit goes by it.
func operation(j *engine.Job) string {
	switch j.Payment.(type) {
	case pay.CreatePayment:
		return "POST /v1/payments"
	case pay.CapturePayment:
		return "POST /v1/payments/{id}/capture"
	case pay.CancelPayment:
		return "POST /v1/payments/{id}/cancel"
	case pay.RefundPayment:
		return "POST /v1/payments/{id}/refunds"
	case pay.Command:
		return "POST /v1/payments/{id}/confirm"
	}
	switch j.Command.(type) {
	case ledger.OpenAccount:
		return "POST /v1/accounts"
	case ledger.UpdateAccount:
		return "PUT /v1/accounts/{id}"
	case ledger.CloseAccount:
		return "POST /v1/accounts/{id}/close"
	case ledger.PostTransfer:
		return "POST /v1/transfers/{id}/post"
	case ledger.VoidTransfer:
		return "POST /v1/transfers/{id}/void"
	case ledger.ReverseTransfer:
		return "POST /v1/transfers/{id}/reverse"
	}
	return "POST /v1/transfers"
}

// accountNames is how many names there are for accounts of a tenant.
const accountNames = 6

// account names one of a few accounts, some of which are open.
func (h *history) account(tenant string) ledger.Ref {
	return ledger.Ref{Tenant: tenant, ID: fmt.Sprintf("account-%d", h.luck.IntN(accountNames))}
}

func (h *history) currency() money.Currency {
	if h.one(12) {
		return "JPY"
	}
	return "EUR"
}

func (h *history) floor() ledger.Floor {
	return []ledger.Floor{{}, {None: true}, {None: true}, {Minor: -100}, {Minor: 50}}[h.luck.IntN(5)]
}

func (h *history) metadata() map[string]string {
	return []map[string]string{nil, {}, {"k": "v"}, {"ü": "🧾\u2028", "a": "1", "": ""}}[h.luck.IntN(4)]
}

func (h *history) open(ref ledger.Ref) (string, ledger.Command) {
	c := ledger.OpenAccount{Ref: ref, Currency: h.currency(), Floor: h.floor(), Metadata: h.metadata()}
	if h.one(20) {
		c.ID = ""
	}
	return fmt.Sprintf("open %q %s %v %v", c.ID, c.Currency, c.Floor, c.Metadata), c
}

func (h *history) update(tenant string) (string, ledger.Command) {
	c := ledger.UpdateAccount{Ref: h.account(tenant), Metadata: h.metadata()}
	if h.one(2) {
		floor := h.floor()
		c.Floor = &floor
	}
	return fmt.Sprintf("update %s %v %v", c.ID, c.Floor, c.Metadata), c
}

// amount is small most of the time, and of any size at times.
func (h *history) amount() int64 {
	switch h.luck.IntN(30) {
	case 0:
		return math.MaxInt64 - h.luck.Int64N(3)
	case 1:
		return -h.luck.Int64N(2)
	case 2:
		return 1 << h.luck.IntN(63)
	}
	return 1 + h.luck.Int64N(100)
}

func (h *history) transfer(tenant string) (string, ledger.Command) {
	c := ledger.CreateTransfer{
		Tenant: tenant, From: h.account(tenant).ID, To: h.account(tenant).ID, Amount: h.amount(), Currency: h.currency(),
		Reference: []string{"", "", "order 1", "order ü"}[h.luck.IntN(4)], Metadata: h.metadata(),
	}
	if c.Pending = h.one(2); c.Pending && h.one(2) {
		c.ExpiresAt = h.now.Add(time.Duration(h.luck.IntN(60)-2) * time.Millisecond)
	}
	return fmt.Sprintf("transfer %+v", c), c
}

// settle does something to a transfer that was made not long ago, to one of
// another tenant, or to none.
func (h *history) settle(r *request) {
	ref := h.made[max(0, len(h.made)-1-h.luck.IntN(20))]
	if r.tenant = ref.Tenant; h.one(30) {
		ref.Tenant = tenants[h.luck.IntN(len(tenants))]
		r.tenant = ref.Tenant
	}
	switch h.luck.IntN(5) {
	case 0:
		r.words, r.command = "void "+ref.ID, ledger.VoidTransfer{Ref: ref}
	case 1:
		r.words, r.command = "reverse "+ref.ID, ledger.ReverseTransfer{Ref: ref}
	case 2:
		r.words, r.command = "post "+ref.ID, ledger.PostTransfer{Ref: ref}
	default:
		amount := h.amount()
		r.words, r.command = fmt.Sprintf("post %d of %s", amount, ref.ID), ledger.PostTransfer{Ref: ref, Amount: &amount}
	}
}

func sortRefs(refs []ledger.Ref) {
	slices.SortFunc(refs, func(a, b ledger.Ref) int { return strings.Compare(a.ID+a.Tenant, b.ID+b.Tenant) })
}
