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
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/oncepay/oncepay/internal/pgtest"
)

// backup is a service on a PostgreSQL that is backed up, lost and restored, by the commands
// of the guide. Its gateway is hostile: every send that reaches it is one more charge.
type backup struct {
	*testing.T
	guide, recovery string
	pg              *pgtest.Server
	store, gateway  string
	env             []string // of the guide's commands
	server          *crashServer
}

// newBackup does what the README says before the first server.
func newBackup(t *testing.T) *backup {
	t.Helper()
	b := &backup{T: t, guide: readGuide(t, "backup.md"), recovery: readGuide(t, "recovery.md")}
	b.gateway = startSandbox(t, mustSelf(t), "--hostile", "--timeout=1s", "--in-flight=3s").url // pm_slow takes 2 s
	b.pg = pgtest.Start(t, "archive_mode=on", `archive_command=mkdir -p ../archive && cp %p ../archive/%f`)
	beside := filepath.Dir(b.pg.Dir)
	b.env = []string{"BACKUP=" + filepath.Join(beside, "backup"), "ARCHIVE=" + filepath.Join(beside, "archive")}
	b.pg.Shell(t, "createuser oncepay; createdb shop; psql -qc 'CREATE SCHEMA oncepay AUTHORIZATION oncepay' shop")
	b.reach(b.pg)
	b.serve()
	return b
}

func readGuide(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/guides", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// reach has the service use the store on a server.
func (b *backup) reach(s *pgtest.Server) {
	b.pg = s
	b.store = strings.Replace(s.URL("shop"), "postgres@", "oncepay@", 1) + "&search_path=oncepay"
}

func (b *backup) serve() {
	b.Helper()
	b.server = launch(b.T, mustSelf(b.T), "", "--store="+b.store, "--sandbox="+b.gateway)
	b.server.ready(b.T)
}

// block is the n-th piece of shell code under a heading of a guide.
func (b *backup) block(guide, heading string, n int) string {
	b.Helper()
	_, rest, found := strings.Cut(guide, "\n## "+heading+"\n")
	under, _, _ := strings.Cut(rest, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(under, -1)
	if !found || len(blocks) <= n {
		b.Fatalf("the guide has no code %d under %q", n, heading)
	}
	return blocks[n][1]
}

// database runs what the guide says on the database's machine.
func (b *backup) database(heading string) {
	b.Helper()
	b.pg.Shell(b.T, b.block(b.guide, heading, 0), b.env...)
}

// service runs oncepay as the guides do, and returns what it prints. `serve` is left out: it
// does not end.
func (b *backup) service(script string) (stdout string, err error) {
	b.Helper()
	dir := b.TempDir()
	if err := os.Symlink(mustSelf(b.T), filepath.Join(dir, "oncepay")); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("bash", "-euc", strings.ReplaceAll(script, "oncepay serve\n", ""))
	cmd.Env = append(os.Environ(), "TEST_AS_PROGRAM=yes", "ONCEPAY_STORE="+b.store, "PATH="+dir+":"+os.Getenv("PATH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s\n%w\n%s%s", script, err, out, &stderr)
	}
	return string(out), err
}

func (b *backup) mustService(script string) string {
	b.Helper()
	out, err := b.service(script)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// ask sends a request, and keeps its answer.
func (b *backup) ask(key, path, body string, want int) *crashOp {
	b.Helper()
	op := &crashOp{key: key, path: path, body: body}
	wait := "10"
	if want == http.StatusAccepted {
		wait = "0"
	}
	var err error
	if op.status, _, op.answer, err = b.server.postWaiting(op, wait); err != nil || op.status != want {
		b.Fatalf("%s is answered %d %s %v", key, op.status, op.answer, err)
	}
	return op
}

// pay charges a card.
func (b *backup) pay(key, more string, want int) *crashOp {
	b.Helper()
	return b.ask(key, "/v1/payments", `{"amount":1000,"currency":"EUR","confirm":true,"reference":"`+key+`",`+more+`}`, want)
}

func (b *backup) move(key string) *crashOp {
	b.Helper()
	return b.ask(key, "/v1/transfers", `{"from":"a","to":"b","amount":7,"currency":"EUR","reference":"`+key+`"}`, http.StatusCreated)
}

// goods is an order that is charged at once.
const goods = `"payment_method":"pm_ok"`

// trade takes some payments and makes some transfers.
func (b *backup) trade(when string) (payments, moves []*crashOp) {
	b.Helper()
	for _, name := range names(when+"-", 3) {
		payments = append(payments, b.pay(name, goods, http.StatusCreated))
		moves = append(moves, b.move("move-"+name))
	}
	return payments, moves
}

// busy has clients pay until stop is called, which returns what they were answered.
func (b *backup) busy() (stop func() []*crashOp) {
	var over atomic.Bool
	done := make(chan []*crashOp)
	go func() {
		var paid []*crashOp
		for n := 0; !over.Load(); n++ {
			op := &crashOp{key: fmt.Sprint("during-", n), path: "/v1/payments", body: `{"amount":1000,"currency":"EUR","confirm":true,` + goods + `}`}
			b.server.send(op)
			paid = append(paid, op)
		}
		done <- paid
	}()
	return func() []*crashOp { over.Store(true); return <-done }
}

// again sends a request once more, and returns its answer.
func (b *backup) again(op *crashOp) (status int, replayed bool, answer []byte) {
	b.Helper()
	status, header, answer, err := b.server.postWaiting(op, "10")
	if err != nil {
		b.Fatal(err)
	}
	return status, header.Get("Idempotency-Replayed") == "true", answer
}

// wantKept holds that requests get the answers that they had.
func (b *backup) wantKept(ops ...*crashOp) {
	b.Helper()
	for _, op := range ops {
		if status, replayed, answer := b.again(op); status != op.status || !replayed || !bytes.Equal(answer, op.answer) {
			b.Errorf("%s was answered %d %s, and is now %d %s", op.key, op.status, op.answer, status, answer)
		}
	}
}

// wantNotBegun holds that requests are not executed, whose first execution is forgotten.
func (b *backup) wantNotBegun(ops ...*crashOp) {
	b.Helper()
	for _, op := range ops {
		if status, _, answer := b.again(op); !notBegun(status, answer) {
			b.Errorf("%s is forgotten, and is answered %d %s", op.key, status, answer)
		}
	}
}

func notBegun(status int, answer []byte) bool {
	return status == http.StatusServiceUnavailable && bytes.Contains(answer, []byte("gateway_unavailable"))
}

// wantMoved holds that transfers which are forgotten are executed, once.
func (b *backup) wantMoved(ops ...*crashOp) {
	b.Helper()
	for _, op := range ops {
		if status, replayed, answer := b.again(op); status != http.StatusCreated || replayed {
			b.Errorf("%s is forgotten, and is answered %d %s", op.key, status, answer)
		}
		op.creates = true
		b.server.checkCount(b.T, op)
	}
}

// charges are the gateway's books, by payment.
func (b *backup) charges() map[string][]gatewayCharge {
	b.Helper()
	var list struct {
		Data []struct {
			Payment string
			gatewayCharge
		}
	}
	if err := json.Unmarshal([]byte(page(b.T, b.gateway+"/sandbox/charges?limit=1000")), &list); err != nil {
		b.Fatal(err)
	}
	all := map[string][]gatewayCharge{}
	for _, c := range list.Data {
		all[c.Payment] = append(all[c.Payment], c.gatewayCharge)
	}
	return all
}

// wantOnce holds that the books have each payment once, and those of the orders.
func (b *backup) wantOnce(orders []*crashOp) {
	b.Helper()
	books := b.charges()
	for id, charges := range books {
		if len(charges) != 1 {
			b.Errorf("%s was charged %d times", id, len(charges))
		}
	}
	for _, op := range orders {
		if id := paymentOf(op); len(books[id]) != 1 {
			b.Errorf("%s (%s) has the charges %+v", op.key, id, books[id])
		}
	}
	if len(books) != len(orders) {
		b.Errorf("%d orders were charged as %d payments", len(orders), len(books))
	}
}

// paymentOf is the payment of which an answer tells.
func paymentOf(op *crashOp) string {
	return string(regexp.MustCompile(`pay_[0-9a-z]+`).Find(op.answer))
}

// compare is what an operator does: it finds the payments in the gateway's books that the
// store does not have, and those of which it has less.
func (b *backup) compare() (unknown, less []string) {
	b.Helper()
	query := regexp.MustCompile("(?s)```sql\n(.*?)```").FindStringSubmatch(b.recovery)
	if query == nil {
		b.Fatal("the guide has no query")
	}
	has := map[string]gatewayCharge{}
	for line := range strings.Lines(b.pg.SQL(b.T, "shop", "SET search_path = oncepay; "+query[1])) {
		var c gatewayCharge
		f := strings.Split(strings.TrimSpace(line), "|")
		if _, err := fmt.Sscan(f[2]+" "+f[3], &c.Captured, &c.Refunded); err != nil {
			b.Fatal(line, err)
		}
		has[f[0]] = c
	}
	for id, charges := range b.charges() {
		switch c, there := has[id]; {
		case !there:
			unknown = append(unknown, id)
		case c.Captured < charges[0].Captured || c.Refunded < charges[0].Refunded:
			less = append(less, id)
		}
	}
	slices.Sort(unknown)
	slices.Sort(less)
	return unknown, less
}

func paymentsOf(ops []*crashOp) (ids []string) {
	for _, op := range ops {
		ids = append(ids, paymentOf(op))
	}
	slices.Sort(ids)
	return ids
}

// archive waits until all that was committed is in the archive.
func (b *backup) archive() {
	b.Helper()
	last := b.pg.SQL(b.T, "postgres", "SELECT pg_walfile_name(pg_switch_wal())")
	waitUntil(b.T, "the log is archived", func() bool {
		return b.pg.SQL(b.T, "postgres", "SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver") == "t"
	})
}

// restoring is a kind of backup.
type restoring struct {
	take    string // the heading of the guide
	restore func(*backup)
	keeps   bool // what was archived after it
	noticed string
}

// Backups are taken of a service that works, and it is lost with all that it did since.
// Whatever is restored says so, charges nobody again (the gateway's books are the witness), answers
// what it has as before, and goes on when an operator has compared it with the books.
func TestABackupIsRestored(t *testing.T) {
	for name, way := range map[string]restoring{
		"a dump": {take: "Take a dump", noticed: "the store was moved", restore: func(b *backup) {
			b.pg.Crash()
			b.reach(pgtest.Start(b.T))
			b.database("Restore a dump")
		}},
		"a copy of the files and an archive": {take: "Copy the server's files", keeps: true, noticed: "restored to a time", restore: func(b *backup) {
			b.pg.Crash()
			b.database("Restore a copy")
			b.pg.Restart(b.T)
			waitUntil(b.T, "the server takes commits", func() bool { return b.pg.SQL(b.T, "postgres", "SELECT pg_is_in_recovery()") == "f" })
		}},
		"a copy of the files that is simply started": {take: "Copy the server's files", noticed: "disk failed", restore: func(b *backup) {
			b.pg.Crash()
			b.pg.Shell(b.T, `rm -r "$PGDATA"; mv "$BACKUP" "$PGDATA"`, b.env...)
			b.pg.Restart(b.T)
			if out := b.mustService("oncepay recovery status"); !strings.Contains(out, "nothing was lost") {
				b.Errorf("what nobody can notice is noticed: %s", out)
			}
			b.mustService(b.block(b.guide, "Restore a copy", 1))
		}},
	} {
		t.Run(name, func(t *testing.T) { newBackup(t).run(way) })
	}
}

func (b *backup) run(way restoring) {
	for _, id := range []string{"a", "b"} {
		b.ask("open-"+id, "/v1/accounts", `{"id":"`+id+`","currency":"EUR","min_balance":null}`, http.StatusCreated)
	}
	before, movesBefore := b.trade("before")
	reserved := b.pay("reserved", `"capture_method":"manual",`+goods, http.StatusCreated)
	dropped := b.pay("dropped", `"capture_method":"manual",`+goods, http.StatusCreated)
	bought := b.pay("bought", goods, http.StatusCreated)
	key := strings.TrimSpace(b.mustService("oncepay apikey create --tenant=shop"))
	slow := b.pay("slow", `"payment_method":"pm_slow"`, http.StatusAccepted)
	stop := b.busy()
	b.database(way.take)
	during := stop()
	archived, movesArchived := b.trade("archived")
	b.archive()
	after, movesAfter := b.trade("after")
	capture := b.ask("capture", "/v1/payments/"+paymentOf(reserved)+"/capture", `{"amount":600}`, http.StatusOK)
	cancel := b.ask("cancel", "/v1/payments/"+paymentOf(dropped)+"/cancel", "", http.StatusOK)
	refund := b.ask("refund", "/v1/payments/"+paymentOf(bought)+"/refunds", `{"amount":400}`, http.StatusCreated)
	id := regexp.MustCompile(`ak_[0-9a-z]+`).FindString(b.mustService("oncepay apikey list"))
	b.mustService("oncepay apikey revoke " + id)
	late := strings.TrimSpace(b.mustService("oncepay apikey create --tenant=shop"))
	cut := b.pay("cut", `"payment_method":"pm_timeout_after_charge"`, http.StatusAccepted)
	waitUntil(b.T, "the gateway has charged what is not answered", func() bool { return len(b.charges()[paymentOf(cut)]) == 1 })
	orders := slices.Concat(before, during, archived, after, []*crashOp{reserved, dropped, bought, slow, cut})
	b.server.cmd.Process.Kill()
	b.server.cmd.Wait()
	way.restore(b)

	b.mustService(b.block(b.guide, "Then", 0))
	b.serve()
	status, err := b.service("oncepay recovery status")
	if err == nil || !strings.Contains(status, way.noticed) || !strings.Contains(status, "it lasts") {
		b.Errorf("recovery status says %s %v", status, err)
	}
	lost, movesLost, kept := after, movesAfter, slices.Concat(before, movesBefore, []*crashOp{reserved, dropped, bought})
	if way.keeps {
		kept = slices.Concat(kept, archived, movesArchived, during)
	} else {
		lost, movesLost = slices.Concat(archived, lost), slices.Concat(movesArchived, movesLost)
	}
	b.wantKept(kept...)
	if !way.keeps {
		lost = append(lost, b.sortOut(during)...)
	}
	b.wantNotBegun(append([]*crashOp{capture, cancel, refund, cut}, lost...)...)
	b.wantMoved(movesLost...)
	waitUntil(b.T, "the one that was at the gateway is settled", func() bool { s, _, _ := b.again(slow); return s == http.StatusCreated })
	b.wantOnce(orders)
	unknown, less := b.compare()
	if want := paymentsOf(append(lost, cut)); !slices.Equal(unknown, want) {
		b.Errorf("the books have %q that the store does not, want %q", unknown, want)
	}
	if want := paymentsOf([]*crashOp{reserved, bought}); !slices.Equal(less, want) {
		b.Errorf("the books have more of %q than the store, want %q", less, want)
	}
	b.wantUndone(paymentOf(reserved), "authorized", gatewayCharge{1000, 600, 0})
	b.wantUndone(paymentOf(dropped), "authorized", gatewayCharge{1000, 0, 0})
	b.wantUndone(paymentOf(bought), "succeeded", gatewayCharge{1000, 1000, 400})
	if out := b.mustService(b.block(b.recovery, "What to do", 0)); strings.Contains(out, "pay_") {
		b.Errorf("in doubt is\n%s", out)
	}
	if got := b.with(key); got != http.StatusOK {
		b.Errorf("the key that was revoked after the backup is answered %d", got)
	}
	if got := b.with(late); got != http.StatusUnauthorized {
		b.Errorf("the key that was made after the backup is answered %d", got)
	}
	for path, want := range map[string]string{"/readyz?verbose": "[!] recovery: ", "/metrics": "\noncepay_recovery 1\n"} {
		if got := page(b.T, b.server.url+path); !strings.Contains(got, want) {
			b.Errorf("%s does not say %q:\n%s", path, want, got)
		}
	}
	b.end(lost[0], capture, cancel, refund)
	b.wantBooked(paymentOf(reserved), gatewayCharge{1000, 600, 0})  // it had been captured, and said so
	b.wantBooked(paymentOf(bought), gatewayCharge{1000, 1000, 800}) // it was given back once more
	b.server.stop(b.T)
	if log := b.server.stderr.String(); !strings.Contains(log, "recovery: the store may have lost commits") {
		b.Errorf("the log does not tell of it:\n%s", log)
	}
	b.mustService("oncepay verify")
}

// sortOut returns those of the payments that are forgotten. The others are the ones that they
// were: where the backup has no outcome, it was asked for again.
func (b *backup) sortOut(ops []*crashOp) (lost []*crashOp) {
	b.Helper()
	for _, op := range ops {
		switch status, _, answer := b.again(op); {
		case notBegun(status, answer):
			lost = append(lost, op)
		case status != http.StatusCreated || !bytes.Contains(answer, []byte(paymentOf(op))):
			b.Errorf("%s was answered %d %s, and is now %d %s", op.key, op.status, op.answer, status, answer)
		}
	}
	return lost
}

// wantUndone holds that a payment is as it was in the backup, and what the books have of it.
func (b *backup) wantUndone(id, status string, books gatewayCharge) {
	b.Helper()
	var p struct {
		Status   string
		Refunded int64 `json:"amount_refunded"`
	}
	if err := b.server.get("/v1/payments/"+id, &p); err != nil || p.Status != status || p.Refunded != 0 {
		b.Errorf("%s is %+v, want %s (%v)", id, p, status, err)
	}
	b.wantBooked(id, books)
}

func (b *backup) wantBooked(id string, books gatewayCharge) {
	b.Helper()
	if got := b.charges()[id]; len(got) != 1 || got[0] != books {
		b.Errorf("the books have %+v of %s, want %+v", got, id, books)
	}
}

// with says how an API key is answered.
func (b *backup) with(key string) int {
	b.Helper()
	req, err := http.NewRequest(http.MethodGet, b.server.url+"/v1/payments", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	status, _ := told(b.T, req)
	return status
}

// end is an operator's word. What is forgotten is forgotten for good then, and who asks for it
// asks for something new: that is why the guide has an operator settle it before.
func (b *backup) end(lost, capture, cancel, refund *crashOp) {
	b.Helper()
	b.mustService(b.block(b.recovery, "What to do", 1))
	if out := b.mustService("oncepay recovery status"); !strings.Contains(out, "were lost and refunded") {
		b.Errorf("recovery status says %s", out)
	}
	wantTaken(b.T, b.server.url, "new")
	charged := len(b.charges())
	for op, want := range map[*crashOp]int{lost: http.StatusCreated, capture: http.StatusPaymentRequired, cancel: http.StatusConflict, refund: http.StatusCreated} {
		if status, replayed, answer := b.again(op); status != want || replayed {
			b.Errorf("%s is asked for anew, and is answered %d %s", op.key, status, answer)
		}
	}
	if n := len(b.charges()); n != charged+1 {
		b.Errorf("one payment was made anew, and %d were charged", n-charged)
	}
}
