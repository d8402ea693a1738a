//go:build integration

package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What the sandbox declares in this test. pm_slow takes two seconds.
const (
	stalledTimeout = 500 * time.Millisecond
	stalledLag     = 500 * time.Millisecond  // H
	stalledFlight  = 2500 * time.Millisecond // L
)

// A gateway that stands still for longer than its contract allows, with requests
// in its sockets and its queues, does not carry them out when it goes on: it was
// asked about them meanwhile, knew nothing, and was sent them again. It is not
// idempotent, and its books tell (claim A). In the end everybody is charged
// (claim E).
func TestAStalledGatewayChargesOnce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_AS_PROGRAM", "yes")
	gw := startSandbox(t, self, "--hostile",
		"--timeout="+stalledTimeout.String(), "--lookup-lag="+stalledLag.String(), "--in-flight="+stalledFlight.String())
	w := &till{crashWorld: crashWorld{program: self, dir: t.TempDir(), args: []string{"--sandbox=" + gw.url}}, sandbox: gw.url}
	s := w.start(t)

	w.orderAll(t, s, "pm_slow", 10) // they are at work
	gw.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	w.orderAll(t, s, "pm_ok", 10) // they come to its sockets, and no further
	w.orderAll(t, s, "pm_slow", 20)
	time.Sleep(time.Until(stopped.Add(stalledTimeout + stalledLag + stalledFlight + stalledTimeout)))
	gw.signal(t, syscall.SIGCONT)

	w.each(s, w.orders, func(o *paidOrder) {
		if !w.ask(t, s, o, &o.crashOp, "15") || !strings.Contains(string(o.answer), `"status":"succeeded"`) {
			t.Errorf("%s is not charged: %d %s", o.key, o.status, o.answer)
		}
	})
	time.Sleep(stalledFlight) // what was sent is carried out by then, or never
	w.each(s, w.orders, func(o *paidOrder) {
		charges, err := w.charges(o)
		if want := []gatewayCharge{{Amount: o.amount, Captured: o.amount}}; err != nil || !slices.Equal(charges, want) {
			t.Errorf("%s has the charges %+v (%v), want %+v", o.key, charges, err, want)
		}
	})
	s.stop(t)
}

func (g *sandboxProcess) signal(t *testing.T, what os.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
}

// orderAll orders so many things at once, and waits until they are written down.
func (w *till) orderAll(t *testing.T, s *crashServer, method string, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		o := &paidOrder{amount: 100, method: method, wants: "charge"}
		o.key, o.path = fmt.Sprint("order-", len(w.orders)), "/v1/payments"
		o.body = fmt.Sprintf(`{"amount":%d,"currency":"EUR","payment_method":%q,"confirm":true}`, o.amount, method)
		w.orders = append(w.orders, o)
		all.Go(func() {
			if status, _, body, err := s.postWaiting(&o.crashOp, "0"); err != nil || status != http.StatusAccepted {
				t.Errorf("%s: %d %s %v", o.key, status, body, err)
			}
		})
	}
	all.Wait()
}
