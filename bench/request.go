package bench

import (
	"net/url"
	"strconv"
	"strings"
)

// A desk writes whole requests into one buffer, so that sending one is a single
// write and no allocation. What it returns is valid until its next call. It is
// for one goroutine.
type desk struct {
	plan   *plan
	base   string // the path before /v1
	single string // the path that a transfer is posted to
	always string // what follows the path in every request
	out    []byte
	body   []byte
}

func newDesk(p *plan, target *url.URL, apiKey string) *desk {
	d := &desk{plan: p, base: strings.TrimRight(target.EscapedPath(), "/")}
	d.single = d.base + "/v1/transfers"
	if p.only == raw {
		d.single = target.RequestURI()
	}
	d.always = " HTTP/1.1\r\nHost: " + target.Host + "\r\nAuthorization: Bearer " + apiKey + "\r\n"
	return d
}

// transfer writes the request for the transfer at index.
func (d *desk) transfer(index uint64) []byte {
	d.body = d.plan.appendBody(d.body[:0], index)
	d.begin("POST ", d.single, "")
	d.out = d.plan.appendKey(append(d.out, "Idempotency-Key: "...), index)
	return d.finish()
}

// batch writes the request for all transfers of request n.
func (d *desk) batch(n uint64) []byte {
	d.body = append(d.body[:0], `{"transfers":[`...)
	for item := range d.plan.stride {
		if item > 0 {
			d.body = append(d.body, ',')
		}
		d.body = d.plan.appendItem(d.body, n*d.plan.stride+item)
	}
	d.body = append(d.body, `]}`...)
	d.begin("POST ", d.base, "/v1/transfers/batch")
	d.out = append(d.out, "Accept: application/json"...)
	return d.finish()
}

// account writes the request that opens the run's account number n, which may
// be debited without limit. Its id is its key.
func (d *desk) account(n uint64) []byte {
	d.body = d.plan.appendAccount(append(d.body[:0], `{"id":"`...), n)
	d.body = append(d.body, `","currency":"EUR","min_balance":null}`...)
	d.begin("POST ", d.base, "/v1/accounts")
	d.out = d.plan.appendAccount(append(d.out, "Idempotency-Key: "...), n)
	return d.finish()
}

// get writes the request that reads a path below the base.
func (d *desk) get(path string) []byte {
	d.begin("GET ", d.base, path)
	d.out = append(d.out, "\r\n"...)
	return d.out
}

func (d *desk) begin(method, base, path string) {
	d.out = append(d.out[:0], method...)
	d.out = append(append(d.out, base...), path...)
	d.out = append(d.out, d.always...)
}

// finish ends the header line that was begun, and adds the body.
func (d *desk) finish() []byte {
	d.out = append(d.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	d.out = strconv.AppendInt(d.out, int64(len(d.body)), 10)
	d.out = append(append(d.out, "\r\n\r\n"...), d.body...)
	return d.out
}
