package bench

import (
	"net/url"
	"strconv"
)

// A desk writes whole requests into one buffer, so that sending one is a single
// write and no allocation. What it returns is valid until its next call. It is
// for one goroutine.
type desk struct {
	plan   *plan
	host   string
	auth   string // the header lines that every request has
	single string // where a transfer is posted to
	base   string // the path before /v1
	out    []byte
	body   []byte
}

func newDesk(p *plan, target *url.URL, apiKey string, rawTarget bool) *desk {
	d := &desk{plan: p, host: target.Host, base: target.EscapedPath()}
	d.auth = " HTTP/1.1\r\nHost: " + target.Host + "\r\nAuthorization: Bearer " + apiKey + "\r\n"
	for len(d.base) > 0 && d.base[len(d.base)-1] == '/' && !rawTarget {
		d.base = d.base[:len(d.base)-1]
	}
	d.single = d.base + "/v1/transfers"
	if rawTarget {
		d.single = target.RequestURI()
	}
	return d
}

// transfer writes the request for the transfer at index.
func (d *desk) transfer(index uint64) []byte {
	d.body = d.plan.appendBody(d.body[:0], index)
	d.out = append(append(d.out[:0], "POST "...), d.single...)
	d.out = append(append(d.out, d.auth...), "Idempotency-Key: "...)
	d.out = append(d.plan.appendKey(d.out, index), "\r\n"...)
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
	d.out = append(append(d.out[:0], "POST "...), d.base...)
	d.out = append(append(d.out, "/v1/transfers/batch"...), d.auth...)
	return d.finish()
}

// account writes the request that opens the run's account number n, which may
// be debited without limit. Its id is its key.
func (d *desk) account(n uint64) []byte {
	d.body = d.plan.appendAccount(append(d.body[:0], `{"id":"`...), n)
	d.body = append(d.body, `","currency":"EUR","min_balance":null}`...)
	d.out = append(append(d.out[:0], "POST "...), d.base...)
	d.out = append(append(d.out, "/v1/accounts"...), d.auth...)
	d.out = append(d.plan.appendAccount(append(d.out, "Idempotency-Key: "...), n), "\r\n"...)
	return d.finish()
}

// get writes the request that reads a path below the base.
func (d *desk) get(path string) []byte {
	d.out = append(append(d.out[:0], "GET "...), d.base...)
	d.out = append(append(d.out, path...), d.auth...)
	return append(d.out, "\r\n"...)
}

func (d *desk) finish() []byte {
	d.out = append(d.out, "Content-Type: application/json\r\nContent-Length: "...)
	d.out = strconv.AppendInt(d.out, int64(len(d.body)), 10)
	d.out = append(append(d.out, "\r\n\r\n"...), d.body...)
	return d.out
}
