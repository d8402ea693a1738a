package web

import (
	"cmp"
	"strconv"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// batch is POST /v1/transfers/batch. Each item is the POST /v1/transfers with
// its idempotency_key, and is answered like it; they are independent.
func (x *exchange) batch() {
	if x.hasQuery() {
		return
	}
	s := x.api.borrow()
	defer x.api.giveBack(s)
	body, bad := x.readBody(s, batchBody)
	if bad != nil {
		x.refuseBody(bad)
		return
	}
	items, issues := readBatch(body)
	if len(issues) > 0 {
		x.invalid(issues)
		return
	}
	most := x.keepsTo()
	results := make([]engine.Outcome, len(items))
	jobs, places := x.orders(items, s, most == 0, results)
	p := x.api.wait(x.r.Context(), cmp.Or(most, DefaultWait))
	defer p.giveBack()
	for i, o := range x.api.executor.DoAll(p, jobs) {
		results[places[i]] = o
	}
	x.answerBatch(results)
}

// readBatch returns the items, or what is wrong with all of it.
func readBatch(body jcs.Value) ([]jcs.Value, []issue) {
	var f form
	if !f.object(body) {
		return nil, f.issues
	}
	var items []jcs.Value
	for name, v := range body.Members() {
		switch {
		case name != "transfers":
			f.unknown(name)
		case v.Kind() != jcs.Array:
			f.fail("/transfers", "This must be an array, not %s.", kindName(v))
		case v.Len() == 0 || v.Len() > MaxBatch:
			f.fail("/transfers", "A batch has 1 to %d transfers, this one has %d.", MaxBatch, v.Len())
		default:
			for _, item := range v.Elements() {
				items = append(items, item)
			}
		}
	}
	f.require(body, "transfers")
	return items, f.issues
}

const keyMember = "idempotency_key"

// orders makes jobs of items. An item that has no key has its result at once;
// places says to which result each job belongs.
func (x *exchange) orders(items []jcs.Value, s *scratch, noWait bool, results []engine.Outcome) (jobs []*engine.Job, places []int) {
	for i, item := range items {
		key, wrong := itemKey(item)
		if wrong != nil {
			results[i].Answer = wrong.code.find().answer(x.id, wrong.detail, wrong.issues)
			continue
		}
		body := item.Without(keyMember)
		s.out = body.AppendCanonical(s.out[:0])
		o := x.order(createTransfer, key, x.caller.tenant.fingerprint("POST", transferPath, s.out), body)
		o.NoWait = noWait
		jobs, places = append(jobs, &o.Job), append(places, i)
	}
	return jobs, places
}

// itemMistake is why an item cannot be looked up.
type itemMistake struct {
	code   code
	detail string
	issues []issue
}

func itemKey(item jcs.Value) (string, *itemMistake) {
	var f form
	if !f.object(item) {
		return "", &itemMistake{invalid, "An item of a batch is a JSON object.", f.issues}
	}
	v, ok := item.Member(keyMember)
	if !ok || v.Kind() == jcs.Null {
		return "", &itemMistake{code: keyMissing, detail: "Each item of a batch needs an idempotency_key."}
	}
	s, ok := v.Text()
	if !ok {
		return "", &itemMistake{code: keyMalformed, detail: "An idempotency_key is a string."}
	}
	key, wrong := parseKey(s)
	if wrong != nil {
		return "", &itemMistake{code: wrong.code, detail: wrong.detail}
	}
	return key, nil
}

// answerBatch sends the results in the order of the items.
func (x *exchange) answerBatch(results []engine.Outcome) {
	b := append(make([]byte, 0, 512*len(results)), `{"results":[`...)
	for i, o := range results {
		if i > 0 {
			b = append(b, ',')
		}
		if o.Err != nil {
			o.Answer = x.failedAnswer(o.Err)
		}
		b = appendItemResult(b, o.Replayed, o.Answer)
	}
	b = append(b, `]}`...)
	x.set("Content-Type", typeJSON)
	x.body(200, b)
}

func appendItemResult(b []byte, replayed bool, a once.Answer) []byte {
	b = strconv.AppendInt(append(b, `{"status":`...), int64(a.Status), 10)
	b = strconv.AppendBool(append(b, `,"replayed":`...), replayed)
	b = append(append(b, `,"body":`...), a.Body...)
	return append(b, '}')
}
