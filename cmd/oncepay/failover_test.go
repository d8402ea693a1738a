//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/pgtest"
)

// failover is a service on a pair of servers, with a hostile gateway: every send that
// reaches it is one more charge.
type failover struct {
	*testing.T
	program, gateway, store string
	primary, standby        *pgtest.Server
	server                  *replica
}

// replica is one `oncepay serve`.
type replica struct {
	cmd    *exec.Cmd
	url    string
	stderr bytes.Buffer // read it when it has ended
	ended  chan error
}

func newFailover(t *testing.T, settings ...string) *failover {
	t.Helper()
	program := buildForCrashes(t)
	f := &failover{T: t, program: program, gateway: startSandbox(t, program, "--hostile", "--timeout=1s", "--in-flight=3s").url}
	f.primary = pgtest.Start(t, settings...)
	f.standby = f.primary.Clone(t, []string{"-R", "-X", "stream"})
	f.store = strings.Replace(f.primary.URL("postgres"), f.primary.Addr(), f.primary.Addr()+","+f.standby.Addr(), 1)
	f.start()
	return f
}

// start is what its supervisor does.
func (f *failover) start() {
	f.Helper()
	r := &replica{ended: make(chan error, 1)}
	r.cmd = exec.Command(f.program, "serve", "--dev", "--addr=127.0.0.1:0", "--store="+f.store, "--sandbox="+f.gateway)
	r.cmd.Env = append(os.Environ(), "CRASHTEST_PHASE="+filepath.Join(f.TempDir(), "phase"))
	r.cmd.Stderr = &r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		f.Fatal(err)
	}
	line := make([]byte, 1000)
	n, _ := stdout.Read(line)
	go func() { r.ended <- r.cmd.Wait() }()
	f.Cleanup(func() { r.cmd.Process.Kill() })
	_, rest, found := strings.Cut(string(line[:n]), "http://")
	if !found {
		f.Fatalf("the server did not get ready: %q\n%s", line[:n], &r.stderr)
	}
	r.url = "http://" + strings.Fields(rest)[0]
	f.server = r
}

// wantEnd waits until the server has ended by itself.
func (f *failover) wantEnd() {
	f.Helper()
	select {
	case err := <-f.server.ended:
		if err == nil || !strings.Contains(f.server.stderr.String(), "start it again") {
			f.Errorf("it ended with %v\n%s", err, &f.server.stderr)
		}
	case <-time.After(20 * time.Second):
		f.Fatal("the server goes on in a past that is gone")
	}
}

// orders sends orders with these keys, and returns their answers by status.
func (f *failover) orders(keys []string) map[int][]string {
	all := map[int][]string{}
	for _, key := range keys {
		status, answer := order(f.T, f.server.url, key)
		all[status] = append(all[status], answer)
	}
	return all
}

// leave sends an order that is charged in this way, and does not wait for it.
func (f *failover) leave(key, method string) {
	f.Helper()
	body := fmt.Sprintf(`{"amount":1000,"currency":"EUR","payment_method":%q,"confirm":true}`, method)
	req, err := http.NewRequest(http.MethodPost, f.server.url+"/v1/payments", strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + devKey, "Content-Type": "application/json", "Idempotency-Key": key, "Prefer": "wait=0"} {
		req.Header.Set(name, value)
	}
	if status, answer := told(f.T, req); status != http.StatusAccepted {
		f.Fatal(status, answer)
	}
}

// charges are how many charges the gateway's books have, in all.
func (f *failover) charges() (n int) {
	f.Helper()
	var list struct {
		Data []struct{ Payment string }
	}
	if err := json.Unmarshal([]byte(page(f.T, f.gateway+"/sandbox/charges?limit=1000")), &list); err != nil {
		f.Fatal(err)
	}
	return len(list.Data)
}

// openCharges are how many charges the gateway's books have of payments that are not settled.
func (f *failover) openCharges() (n int) {
	f.Helper()
	for _, id := range strings.Fields(f.standby.SQL(f, "postgres", "SELECT id FROM payments WHERE status IN (1, 2)")) {
		charges, err := readBooks[gatewayCharge](f.gateway, id)
		if err != nil {
			f.Fatal(err)
		}
		n += len(charges)
	}
	return n
}

// on reads a number from a server.
func (f *failover) on(s *pgtest.Server, sql, want string) {
	f.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.SQL(f, "postgres", sql) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("%s: it is %s, want %s", sql, s.SQL(f, "postgres", sql), want)
		}
	}
}

// cut has the standby get nothing more.
func (f *failover) cut() {
	f.Helper()
	f.standby.SQL(f, "postgres", "ALTER SYSTEM SET primary_conninfo = ''")
	f.standby.SQL(f, "postgres", "SELECT pg_reload_conf()")
	f.on(f.primary, "SELECT count(*) FROM pg_stat_replication", "0")
}

func names(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// dated is a UUIDv7 of a time.
func dated(at time.Time) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000001", ms>>16, ms&0xffff)
}

// A standby takes over that had not got the last payments. The service notices, charges
// nobody again whose payment was lost, asks about the one that was at the gateway, and
// goes on when an operator has said that the books agree.
func TestAFailoverThatLosesPaymentsChargesNobodyTwice(t *testing.T) {
	f := newFailover(t)
	kept, lost := names("kept-", 5), names("lost-", 5)
	before := f.orders(kept)
	f.leave("slow", "pm_slow")
	f.on(f.standby, "SELECT count(*) FROM operations WHERE sent_at IS NOT NULL AND outcome = 0", "1")
	f.cut()
	f.orders(lost)
	const done = 5 + 5 + 1
	f.charged(done)
	f.primary.Crash()
	f.standby.Promote(t)
	f.wantEnd()
	f.start()

	if again := f.orders(kept); fmt.Sprint(again) != fmt.Sprint(before) {
		t.Errorf("what is there was answered\n%v, and is now\n%v", before, again)
	}
	if again := f.orders(lost); len(again[http.StatusServiceUnavailable]) != len(lost) {
		t.Errorf("what was lost is answered %v", again)
	}
	f.on(f.standby, "SELECT count(*) FROM payments WHERE status = 5", "6") // it has asked about the slow one
	if n := f.charges(); n != done {
		t.Errorf("%d orders were charged %d times", done, n)
	}
	wantTaken(t, f.server.url, dated(time.Now().Add(time.Hour)))
	if got := page(t, f.server.url+"/readyz?verbose"); !strings.Contains(got, "[!] recovery: ") {
		t.Errorf("/readyz says\n%s", got)
	}
	if got := oncepay(nil, "recovery", "status", "--store="+f.store); got.status != exitBad || !strings.Contains(got.stdout, "from timeline 1 to 2") {
		t.Errorf("status: %+v", got)
	}
	if got := oncepay(nil, "recovery", "end", "--store="+f.store, "--evidence=the lost ones are refunded"); got.status != exitGood {
		t.Fatalf("end: %+v", got)
	}
	wantTaken(t, f.server.url, "undated")
	if n := f.charges(); n != done+2 {
		t.Errorf("%d orders were charged %d times", done+2, n)
	}
}

// charged waits until the gateway has so many charges.
func (f *failover) charged(n int) {
	f.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.charges() < n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("there are %d charges, want %d", f.charges(), n)
		}
	}
}

// A standby that has all takes over in the middle of it. Every answer that was given is
// given again (claim B), and nobody is charged twice, however often they ask (claim A).
func TestAFailoverThatLosesNothingKeepsEveryAnswer(t *testing.T) {
	f := newFailover(t, "synchronous_standby_names=*")
	const clients, each = 4, 30
	answers := make([]map[string]string, clients)
	var wg sync.WaitGroup
	for c := range clients {
		answers[c] = map[string]string{}
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("order-%d-%d", c, i)
				status, answer := order(t, f.server.url, key)
				if status != http.StatusCreated {
					return // its server is gone
				}
				answers[c][key] = answer
			}
		})
	}
	f.charged(10)
	f.leave("unheard", "pm_timeout_before_charge")
	f.primary.Crash()
	f.standby.Promote(t)
	f.wantEnd()
	wg.Wait()
	f.start()
	given := 0
	for _, some := range answers {
		for key, before := range some {
			given++
			if status, again := order(t, f.server.url, key); status != http.StatusCreated || again != before {
				t.Errorf("%s was answered %s, and is now %d %s", key, before, status, again)
			}
		}
	}
	if given < 5 || given == clients*each {
		t.Errorf("%d of %d were answered before the failover: the test does not test what it is for", given, clients*each)
	}
	for c := range clients {
		f.orders(names(fmt.Sprintf("order-%d-", c), each))
	}
	waitUntil(t, "all that was charged is settled", func() bool { return f.openCharges() == 0 })
	if n := f.charges(); n < given || n > given+clients {
		t.Errorf("%d were answered, %d clients were waiting, and there are %d charges", given, clients, n)
	}
	// What never arrived is in doubt: nobody knows that who sent it is gone, so no absence proves it.
	f.on(f.standby, "SELECT count(*) > 0 FROM payments WHERE status = 2 AND in_doubt = 1", "t")
	if got := oncepay(nil, "recovery", "begin", "--store="+f.store, "--cause=it was restored"); got.status != exitGood {
		t.Errorf("begin: %+v", got)
	}
	f.wantEnd()
}
