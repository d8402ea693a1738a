package web

import (
	"context"
	"net/http"
	"time"

	"github.com/oncepay/oncepay/once"
)

// pingTime is how long the store has to answer a readiness check: whoever asks
// wants to know soon.
const pingTime = 2 * time.Second

// live is GET /livez: the process runs and answers. It asks nobody, so that a
// store's trouble has no process restarted.
func (x *exchange) live() { x.text(http.StatusOK, "ok\n") }

// ready is GET /readyz: whether requests should be sent here.
func (x *exchange) ready() {
	checks := []check{
		{"serving", !x.api.draining.Load(), "the server is draining"},
		{"store", x.ping(), "the store cannot be read"},
	}
	status, verdict := http.StatusOK, "ok\n"
	lines := ""
	for _, c := range checks {
		if !c.ok {
			status, verdict = http.StatusServiceUnavailable, "not ready: "+c.trouble+"\n"
		}
		lines += c.line()
	}
	if x.r.URL.Query().Has("verbose") {
		verdict = lines + x.api.recovery() + verdict
	}
	if status != http.StatusOK {
		x.set("Retry-After", "1")
	}
	x.text(status, verdict)
}

// recovery is a line that says that the store may have lost commits. It is no reason to send
// requests elsewhere: all processes know the same.
func (a *API) recovery() string {
	if until := a.forgot(); !until.IsZero() {
		return "[!] recovery: what was done before " + until.UTC().Format(time.RFC3339) + " may be lost; nothing is begun that may have been begun then\n"
	}
	return ""
}

// check is one thing that readiness depends on.
type check struct {
	name    string
	ok      bool
	trouble string
}

func (c check) line() string {
	if c.ok {
		return "[+] " + c.name + "\n"
	}
	return "[-] " + c.name + ": " + c.trouble + "\n"
}

func (x *exchange) ping() bool {
	ctx, cancel := context.WithTimeout(x.r.Context(), pingTime)
	defer cancel()
	if err := x.api.store.Ping(ctx); err != nil {
		x.api.log.Warn("the store does not answer", "request", x.id, "err", err)
		return false
	}
	return true
}

func (x *exchange) text(status int, body string) {
	x.set("Cache-Control", "no-store")
	x.send(once.Answer{Status: status, Header: textHeader, Body: []byte(body)})
}

var textHeader = []once.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}
