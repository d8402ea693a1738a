//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/pgtest"
)

var replicaEnds = flag.Int("ends", 6, "how often a replica is killed or stopped under load, for each test of replicas")

const (
	replicas       = 3
	replicaClients = 12
)

// Three servers on one PostgreSQL are one service: killed, stopped and started again
// under load, they charge nobody twice, give one answer for a key whichever is asked, lose
// nothing that they acknowledged, and leave nothing behind that is stuck. Duplicates go to
// several at once, and the command line works beside them.
func TestReplicasAreOneService(t *testing.T) {
	for name, world := range map[string]struct {
		hostile bool
		reach   func(testing.TB, string) string
	}{
		"where the gateway repeats safely":                  {reach: directly},
		"through PgBouncer, where every send charges again": {hostile: true, reach: throughBouncer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := startDatabase(t)
			f := newFleet(t, world.reach(t, pg.URL("postgres")), world.hostile)
			stop := f.load(t)
			for range *replicaEnds {
				time.Sleep(time.Duration(f.luck.IntN(400)) * time.Millisecond) // the moment of the end is the luck of this test
				f.beside(t)
				f.end(t, f.luck.IntN(replicas))
			}
			if stop(); t.Failed() {
				return
			}
			f.finish(t)
			if lines := grepLog(t, pg, " 40P01 "); lines != "" {
				t.Errorf("there were deadlocks:\n%s", lines)
			}
			lost := pg.SQL(t, "postgres", "SELECT count(*) FROM payment_lines WHERE detail LIKE 'nothing was heard of its sender%'")
			t.Logf("%d kills and %d stops; %d orders, %d transfers; %d requests whose server was gone; %s sends whose process was gone; %d payments decided by hand",
				f.kills, f.stops, len(f.orders), len(f.moves), f.doubts.Load(), lost, f.decided)
			if lost == "0" || f.doubts.Load() == 0 || f.kills == 0 || f.stops == 0 {
				t.Error("no end came between an intent and its record: the test does not test what it is for")
			}
		})
	}
}

func directly(_ testing.TB, url string) string { return url }

// throughBouncer does without prepared statements only where it must.
func throughBouncer(t testing.TB, url string) string {
	through := pgtest.Bouncer(t, url)
	if !pgtest.Prepares(t) {
		through += "&default_query_exec_mode=exec"
	}
	return through
}

// startDatabase starts a PostgreSQL that syncs, and that keeps a log to look into.
func startDatabase(t *testing.T, settings ...string) *pgtest.Server {
	t.Helper()
	return pgtest.Start(t, append([]string{"logging_collector=on", "log_line_prefix=%m %e "}, settings...)...)
}

// grepLog returns the lines of a PostgreSQL's log that have a text.
func grepLog(t *testing.T, pg *pgtest.Server, text string) (found string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pg.Dir, "log", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no log: %v", err)
	}
	for _, name := range files {
		all, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(all)) {
			if strings.Contains(line, text) {
				found += line
			}
		}
	}
	return found
}

// fleet is some servers on one database, and what their clients remember.
type fleet struct {
	till
	url     string // the database's
	hostile bool
	servers [replicas]atomic.Pointer[crashServer]
	moves   []*crashOp // transfers, holds, and what became of those

	doubts                atomic.Int64 // requests whose server was gone
	kills, stops, decided int
}

// newFleet starts all of them at once, on a database in which there is no store yet.
func newFleet(t *testing.T, url string, hostile bool) *fleet {
	t.Helper()
	seed, self := uint64(time.Now().UnixNano()), mustSelf(t)
	t.Logf("seed %d", seed)
	f := &fleet{url: url, hostile: hostile}
	f.program, f.dir, f.seed, f.luck = self, t.TempDir(), seed, rand.New(rand.NewPCG(seed, 1))
	f.sandbox = startSandbox(t, self, fmt.Sprint("--hostile=", hostile), "--timeout=1s", "--in-flight=3s").url // pm_slow takes 2 s
	var all [replicas]*crashServer
	for i := range all {
		all[i] = f.launch(t)
	}
	for i, s := range all {
		s.ready(t)
		f.servers[i].Store(s)
	}
	for i := range crashAccounts {
		op := &crashOp{key: fmt.Sprint("open-", i), path: "/v1/accounts", body: fmt.Sprintf(`{"id":"a%d","currency":"EUR","min_balance":null}`, i)}
		if f.ask(t, op, "10", f.all()...); op.status != http.StatusCreated {
			t.Fatalf("account %d: %d %s", i, op.status, op.answer)
		}
		f.moves = append(f.moves, op)
	}
	return f
}

func (f *fleet) launch(t *testing.T) *crashServer {
	t.Helper()
	return launch(t, f.program, "", "--store="+f.url, "--sandbox="+f.sandbox)
}

// all are the servers that are up.
func (f *fleet) all() (up []*crashServer) {
	for i := range f.servers {
		if s := f.servers[i].Load(); s != nil {
			up = append(up, s)
		}
	}
	return up
}

// some are n of them, or those that there are.
func (f *fleet) some(luck *rand.Rand, n int) []*crashServer {
	up := f.all()
	luck.Shuffle(len(up), func(i, j int) { up[i], up[j] = up[j], up[i] })
	return up[:min(n, len(up))]
}

// end ends a server, one time in three in order, and starts another in its place.
func (f *fleet) end(t *testing.T, i int) {
	t.Helper()
	s := f.servers[i].Load()
	if (f.kills+f.stops)%3 == 2 {
		f.stops++
		f.servers[i].Store(nil) // as a load balancer that looks at /readyz
		s.stop(t)
	} else {
		f.kills++
		s.cmd.Process.Kill() // its clients find out
		f.servers[i].Store(nil)
		s.cmd.Wait()
	}
	f.checkLog(t, s)
	s = f.launch(t)
	s.ready(t)
	f.servers[i].Store(s)
}

// checkLog looks into the log of a server that has ended.
func (f *fleet) checkLog(t *testing.T, s *crashServer) {
	t.Helper()
	for _, bad := range []string{"DATA RACE", "panic", "40P01", "defect", databasePassword} {
		if strings.Contains(s.stderr.String(), bad) {
			t.Errorf("the log has %q:\n%s", bad, &s.stderr)
		}
	}
}

// load has all clients ask until stop is called, which waits for them.
func (f *fleet) load(t *testing.T) (stop func()) {
	var over atomic.Bool
	var clients sync.WaitGroup
	for client := range replicaClients {
		luck := rand.New(rand.NewPCG(f.seed, uint64(client+2)))
		clients.Go(func() {
			var holds []string
			for n := 0; !over.Load() && !t.Failed(); n++ {
				servers := f.some(luck, 1+luck.IntN(2))
				if luck.IntN(2) == 0 {
					f.move(t, luck, fmt.Sprintf("m-%d-%d", client, n), &holds, servers)
					continue
				}
				open := f.open()
				o := f.order(0, client, n, luck)
				if len(open) > 0 && luck.IntN(2) == 0 {
					f.follow(t, open[luck.IntN(len(open))], "0", servers...)
				}
				f.follow(t, o, "1", servers...)
				f.follow(t, o, "1", f.some(luck, 2)...)
			}
		})
	}
	return func() { over.Store(true); clients.Wait() }
}

// move makes a transfer or a hold, or ends one.
func (f *fleet) move(t *testing.T, luck *rand.Rand, key string, holds *[]string, servers []*crashServer) {
	op := randomOp(luck, key, holds)
	f.mu.Lock()
	f.moves = append(f.moves, op)
	f.mu.Unlock()
	if !f.ask(t, op, "10", servers...) {
		f.ask(t, op, "10", f.some(luck, 1)...) // as every client does
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if id := heldBy(op); id != "" {
		*holds = append(*holds, id)
	}
}

// follow asks for what an order has no answer to.
func (f *fleet) follow(t *testing.T, o *paidOrder, wait string, servers ...*crashServer) {
	f.mu.Lock()
	op := o.next()
	f.mu.Unlock()
	if op == nil || !f.ask(t, op, wait, servers...) || op != &o.crashOp {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var p struct{ ID string }
	if op.status == http.StatusCreated && json.Unmarshal(op.answer, &p) == nil {
		o.paid(p.ID)
	}
}

// reply is what one server said.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// final says whether a reply is the answer of its key.
func (r reply) final() bool {
	return r.err == nil && r.header.Get("Idempotency-Expires") != "" && r.status != http.StatusAccepted && r.header.Get("Retry-After") == ""
}

// ask asks servers at once, and keeps the final answer: there is one, whoever gives it.
// It says whether any did.
func (f *fleet) ask(t *testing.T, op *crashOp, wait string, servers ...*crashServer) (had bool) {
	f.mu.Lock()
	known := op.status != 0
	f.mu.Unlock()
	replies := make([]reply, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() {
			r := &replies[i]
			r.status, r.header, r.body, r.err = s.postWaiting(op, wait)
		})
	}
	all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	executed := 0
	for _, r := range replies {
		if r.err != nil {
			f.doubts.Add(1)
		}
		if !r.final() {
			continue
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			executed++
		}
		if op.status == 0 {
			op.status, op.answer = r.status, r.body
		}
		if r.status != op.status || !bytes.Equal(r.body, op.answer) {
			t.Errorf("%s: was answered %d %s, is now %d %s", op.key, op.status, op.answer, r.status, r.body)
		}
		had = true
	}
	if executed > 1 || executed > 0 && known {
		t.Errorf("%s was executed again", op.key)
	}
	return had
}

// command runs oncepay on the fleet's database, as a process of its own.
func (f *fleet) command(t *testing.T, args ...string) outcome {
	t.Helper()
	return runProgram(t, []string{"ONCEPAY_STORE=" + f.url}, args...)
}

// mustSelf is this binary, which is oncepay where the environment says so.
func mustSelf(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// runProgram runs this binary as oncepay, to its end.
func runProgram(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(mustSelf(t), args...)
	cmd.Env = append(append(os.Environ(), "TEST_AS_PROGRAM=yes"), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// beside works on the database from the command line while servers do.
func (f *fleet) beside(t *testing.T) {
	t.Helper()
	switch f.luck.IntN(3) {
	case 0:
		if o := f.command(t, "verify"); o.status != exitGood {
			t.Errorf("beside the servers, verify says: %+v", o)
		}
	case 1:
		for _, p := range f.inDoubt(t, "--limit=1") {
			if o := f.command(t, "payments", "check", p.ID); o.status != exitGood && !strings.Contains(o.stderr, "gateway") {
				t.Errorf("beside the servers, check says: %+v", o)
			}
		}
	case 2:
		if o := f.command(t, "migrate"); o.status != exitGood {
			t.Errorf("beside the servers, migrate says: %+v", o)
		}
	}
}

// listed is a payment as the command line lists it.
type listed struct {
	ID, Status string
	InDoubt    bool `json:"in_doubt"`
}

func (f *fleet) inDoubt(t *testing.T, more ...string) []listed {
	t.Helper()
	var list struct{ Data []listed }
	o := f.command(t, append([]string{"payments", "list", "--in-doubt", "--json"}, more...)...)
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil {
		t.Fatalf("payments list: %v: %+v", err, o)
	}
	return list.Data
}

// finish waits until every order has its answers, and looks at everything.
func (f *fleet) finish(t *testing.T) {
	t.Helper()
	f.settleAll(t)
	if doubtful := f.inDoubt(t); len(doubtful) > 0 {
		t.Errorf("%d payments are in doubt, such as %+v", len(doubtful), doubtful[0])
	}
	f.compare(t)
	for i := range f.servers {
		s := f.servers[i].Load()
		s.stop(t)
		f.checkLog(t, s)
	}
	if o := f.command(t, "verify"); o.status != exitGood {
		t.Errorf("verify says: %+v", o)
	}
}

// settleAll asks until every order has all of its answers, and all that is not settled by
// itself where every send charges again is decided by a human.
func (f *fleet) settleAll(t *testing.T) {
	t.Helper()
	quiet := time.Now()
	for open := f.open(); len(open) > 0; open = f.open() {
		eachAtOnce(open, func(o *paidOrder) { f.follow(t, o, "0", f.all()[rand.IntN(replicas)]) })
		waited := time.Since(quiet)
		if waited > settleTime || t.Failed() {
			if open = f.open(); len(open) > 0 {
				t.Fatalf("%d orders are not settled, the first is %s", len(open), f.story(f.all()[0], open[0]))
			}
		}
		if f.hostile && waited > handTime {
			f.decideByHand(t)
		}
		time.Sleep(200 * time.Millisecond) // they are not waited for, so that they can all be at work
	}
	eachAtOnce(f.moves, func(op *crashOp) { f.ask(t, op, "10", f.all()...) })
}

// handTime is when a human looks into what is still in doubt: by then the leases of the
// dead are over (6 s), and what they sent has arrived (3 s more) or never will.
const handTime = 15 * time.Second

// booked is a charge in the gateway's books, and what they call it.
type booked struct {
	gatewayCharge
	GatewayID string `json:"gateway_id"`
}

// decideByHand does what a human does who looks at the gateway's books.
func (f *fleet) decideByHand(t *testing.T) {
	t.Helper()
	for _, p := range f.inDoubt(t) {
		var seen struct{ Operations []shownOperation }
		o := f.command(t, "payments", "show", "--json", p.ID)
		if err := json.Unmarshal([]byte(o.stdout), &seen); err != nil {
			t.Fatalf("payments show: %v: %+v", err, o)
		}
		books, err := readBooks[booked](f.sandbox, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range seen.Operations {
			if op.Outcome == "unknown" {
				f.decideOne(t, p.ID, op, books)
			}
		}
	}
}

// decideOne decides an operation. It may be settled meanwhile, and then it is refused.
func (f *fleet) decideOne(t *testing.T, payment string, op shownOperation, books []booked) {
	t.Helper()
	happened := map[string]bool{}
	if len(books) > 0 {
		happened = map[string]bool{"charge": true, "capture": books[0].Captured > 0, "refund": books[0].Refunded > 0}
	}
	args := []string{"payments", "resolve", payment, "--operation=" + op.ID, "--evidence=the books", "--as=absent"}
	if happened[op.Kind] {
		args[len(args)-1] = "--as=captured"
	}
	if op.Kind == "charge" && happened["charge"] {
		args = append(args, "--gateway-id="+books[0].GatewayID)
	}
	switch o := f.command(t, args...); o.status {
	case exitGood:
		f.decided++
	case exitUsage:
		t.Fatalf("%q says: %+v", args, o)
	default:
		t.Logf("%q is refused: %s", args, o.stderr)
	}
}

// compare holds every order to the gateway's books, asks every server for every answer, and
// holds the ledger to both.
func (f *fleet) compare(t *testing.T) {
	t.Helper()
	var kept atomic.Int64
	eachAtOnce(f.orders, func(o *paidOrder) {
		for _, op := range []*crashOp{&o.crashOp, &o.then} {
			if op.status != 0 && !f.ask(t, op, "0", f.all()...) {
				t.Errorf("%s was answered %d %s and has no answer now", op.key, op.status, op.answer)
			}
		}
		kept.Add(f.compareOrder(t, o))
	})
	eachAtOnce(f.moves, func(op *crashOp) {
		f.ask(t, op, "10", f.all()...)
		if op.status == 0 {
			t.Errorf("%s has no answer", op.key)
		}
		f.all()[0].checkCount(t, op)
	})
	for _, s := range f.all() {
		var merchant struct{ Balance struct{ Posted int64 } }
		if err := s.get("/v1/accounts/merchant:default", &merchant); err != nil || merchant.Balance.Posted != kept.Load() {
			t.Errorf("the gateway's books have %d, the ledger %d (%v)", kept.Load(), merchant.Balance.Posted, err)
		}
	}
}

// compareOrder finds the payment of an order, of which there is one, and returns what the
// merchant has of it.
func (f *fleet) compareOrder(t *testing.T, o *paidOrder) (kept int64) {
	var list struct {
		Data []struct {
			ID, Status string
			InDoubt    bool  `json:"in_doubt"`
			Captured   int64 `json:"amount_captured"`
			Refunded   int64 `json:"amount_refunded"`
		}
	}
	if err := f.all()[rand.IntN(replicas)].get("/v1/payments?reference="+o.key, &list); err != nil || len(list.Data) != 1 {
		t.Errorf("%s has %d payments (%v)", o.key, len(list.Data), err)
		return 0
	}
	p := list.Data[0]
	books, err := readBooks[booked](f.sandbox, p.ID)
	var has booked
	if len(books) > 0 {
		has = books[0]
	}
	if err != nil || len(books) > 1 || has.Captured != p.Captured || has.Refunded != p.Refunded || has.Captured > o.amount {
		t.Errorf("%s: the gateway's books have %+v, the payment is %+v: %s %v", o.key, books, p, o.body, err)
	}
	if p.InDoubt || p.Status == "processing" || p.Status == "needs_review" {
		t.Errorf("%s is stuck: %+v", o.key, p)
	}
	return has.Captured - has.Refunded
}

// eachAtOnce has all clients do something.
func eachAtOnce[T any](all []T, do func(T)) {
	queue := make(chan T)
	var clients sync.WaitGroup
	for range replicaClients {
		clients.Go(func() {
			for one := range queue {
				do(one)
			}
		})
	}
	for _, one := range all {
		queue <- one
	}
	close(queue)
	clients.Wait()
}
