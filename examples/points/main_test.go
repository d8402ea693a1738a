package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is the program itself where a test has asked for it.
func TestMain(m *testing.M) {
	if os.Getenv("POINTS_ARGS") == "" {
		os.Exit(m.Run())
	}
	os.Args = append(os.Args[:1], strings.Split(os.Getenv("POINTS_ARGS"), "\n")...)
	main()
}

// broker is one that the program takes events from.
type broker interface {
	url() string
	publish(t *testing.T, id, body string) // delivers it, also if it has before
	left(t *testing.T) int                 // not acknowledged
}

// process is the program, running.
type process struct {
	*exec.Cmd
	ended chan struct{}
	out   *strings.Builder // once it has ended
}

func start(t *testing.T, b broker, dir, dies string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), ended: make(chan struct{}), out: &strings.Builder{}}
	p.Env = append(os.Environ(), "POINTS_DIES="+dies, "POINTS_ARGS="+strings.Join([]string{"-dir", dir, "-broker", b.url()}, "\n"))
	p.Stdout, p.Stderr = p.out, p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		if p.kill(); t.Failed() {
			t.Logf("process %d has ended with %v: %s", p.Process.Pid, p.ProcessState, p.out)
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() { p.Process.Kill(); <-p.ended }

// payment is an event, as oncepay sends it.
func payment(n int, customer string) (id, body string) {
	id = fmt.Sprintf("evt_%d", n)
	return id, fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/oncepay/tenants/dev","type":"payment.succeeded","subject":"pay_%d",`+
		`"data":{"id":"pay_%d","customer":%q,"amount":%d}}`, id, n, n, customer, (n+1)*100)
}

// until waits for something to be so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

// ledgerOf opens the ledger of a directory, to be looked at.
func ledgerOf(t *testing.T, dir string) *ledger {
	t.Helper()
	l, err := openLedger(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.db.Close() })
	return l
}

// count counts effects per payment: it is exactly one for each of 0 to n, without those left out.
func count(t *testing.T, db *sql.DB, n int, out ...int) {
	t.Helper()
	for i := range n {
		want := 1
		for _, o := range out {
			if o == i {
				want = 0
			}
		}
		var effects, points int
		if err := db.QueryRow("SELECT count(*), coalesce(sum(points), 0) FROM entries WHERE payment = ?", fmt.Sprintf("pay_%d", i)).Scan(&effects, &points); err != nil {
			t.Fatal(err)
		}
		if effects != want || points != want*(i+1) {
			t.Errorf("payment %d had its effect %d times, for %d points; want %d", i, effects, points, want)
		}
	}
}

func marks(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT count(*) FROM once_keys").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The steps of a delivery are receive, claim, effect, mark and acknowledge: a process is
// killed between each two of them, and each time the effect is counted.
func crashBetweenSteps(t *testing.T, b broker) {
	dir := t.TempDir()
	l := ledgerOf(t, dir)
	for n, step := range []struct {
		dies    string
		effects int // that the dead process has left
	}{
		{"claimed", 0}, {"effect", 0}, {"marked", 1},
	} {
		id, body := payment(n, "alice")
		p := start(t, b, dir, step.dies+" "+id)
		b.publish(t, id, body)
		select {
		case <-p.ended:
		case <-time.After(60 * time.Second):
			t.Fatalf("it did not die where it has %s", step.dies)
		}
		if !strings.Contains(p.ProcessState.String(), "killed") {
			t.Fatalf("it ended with %v: %s", p.ProcessState, p.out)
		}
		if got := marks(t, l.db) - n; got != step.effects {
			t.Errorf("killed where it has %s, %d marks are left, want %d", step.dies, got, step.effects)
		}
		if b.left(t) != 1 {
			t.Errorf("killed where it has %s, %d messages are to come again, want 1", step.dies, b.left(t))
		}
		p = start(t, b, dir, "")
		until(t, "it is acknowledged", func() bool { return b.left(t) == 0 })
		p.kill()
		count(t, l.db, n+1)
	}
}

// Two processes are killed at random while payments arrive, some of them twice, one of
// them poison: in the end everybody has exactly the points that are due.
func killedAtRandom(t *testing.T, b broker) {
	const payments, poison, kills = 300, 117, 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	luck := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	l := ledgerOf(t, dir)
	published := make(chan struct{})
	customers := []string{"alice", "bob", "carol"}
	go func() {
		defer close(published)
		again := rand.New(rand.NewPCG(seed, 2))
		for n := range payments {
			customer := customers[n%3]
			if n == poison {
				customer = ""
			}
			id, body := payment(n, customer)
			b.publish(t, id, body)
			if again.IntN(4) == 0 {
				b.publish(t, id, body)
			}
		}
	}()
	running := []*process{start(t, b, dir, ""), start(t, b, dir, "")}
	for k := range kills {
		time.Sleep(time.Duration(50+luck.IntN(400)) * time.Millisecond) // that is the luck: where it is killed
		running[k%2].kill()
		running[k%2] = start(t, b, dir, "")
	}
	<-published
	until(t, "everything is acknowledged", func() bool { return b.left(t) == 0 })
	count(t, l.db, payments, poison)
	var dead string
	if err := l.db.QueryRow("SELECT group_concat(id) FROM dead").Scan(&dead); err != nil || dead != fmt.Sprintf("evt_%d", poison) {
		t.Errorf("dead are %q, %v", dead, err)
	}
	want := map[int]int{}
	for n := range payments {
		if n != poison {
			want[n%3] += n + 1
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "POINTS_ARGS="+strings.Join([]string{"-dir", dir, "-list"}, "\n"))
	if out, err := cmd.Output(); err != nil || string(out) != fmt.Sprintf("alice %d\nbob %d\ncarol %d\n", want[0], want[1], want[2]) {
		t.Errorf("the ledger is %v\n%s", err, out)
	}
}

// A broker that is not known, or not there, is said so.
func TestNoBroker(t *testing.T) {
	for _, url := range []string{"carrier-pigeon://coop", "nats://127.0.0.1:1", ":"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "POINTS_ARGS="+strings.Join([]string{"-dir", filepath.Join(t.TempDir(), "p"), "-broker", url}, "\n"))
		if out, err := cmd.CombinedOutput(); err == nil || len(out) == 0 {
			t.Errorf("%s: %v, %s", url, err, out)
		}
	}
}
