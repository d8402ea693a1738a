//go:build integration

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/store/sqlite"
)

const (
	crashCycles  = 100
	crashClients = 32
	crashRotate  = 20 // cycles on one store, so that its audit stays short
)

// A server that is killed under load keeps what it answered, and does nothing
// twice. Each cycle kills the real program at a random moment, starts it again
// on the same files, and checks claim B (every final answer is given again, byte
// for byte; what was in doubt happened at most once and can be found out) and
// claim C (the audit finds every account, entry, transfer, key and event in
// order).
//
// It does not show that acknowledged data survives a power cut: the kernel
// keeps what a killed process wrote.
func TestKilledServerKeepsItsAnswers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	luck := rand.New(rand.NewPCG(seed, 0))
	program := buildForCrashes(t)

	hits, answered, inDoubt := 0, 0, 0
	var w *crashWorld
	for cycle := range crashCycles {
		if cycle%crashRotate == 0 {
			w = newCrashWorld(t, program)
		}
		s := w.start(t)
		asked := w.load(t, s, seed+uint64(cycle), time.Duration(20+luck.IntN(100))*time.Millisecond)
		if s.killed(t) {
			hits++
		}
		s = w.start(t)
		known, doubt := w.check(t, s, asked, luck)
		answered, inDoubt = answered+known, inDoubt+doubt
		w.audit(t)
		s.stop(t)
		if t.Failed() {
			t.Fatalf("cycle %d of seed %d", cycle, seed)
		}
	}
	t.Logf("%d kills, %d of them between a batch's load and the end of its commit; %d answers seen before a kill, %d requests in doubt after one",
		crashCycles, hits, answered, inDoubt)
	if hits < 20 {
		t.Errorf("only %d of %d kills hit a commit: the test does not test what it is for", hits, crashCycles)
	}
	if inDoubt == 0 {
		t.Error("no request was ever in doubt: the test does not test what it is for")
	}
}

// buildForCrashes builds the program with the hook that tells where a batch is.
func buildForCrashes(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oncepay")
	out, err := exec.Command("go", "build", "-tags", "crashtest", "-o", path, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// crashWorld is a store, and what its clients remember of it.
type crashWorld struct {
	program, dir string
	args         []string   // more of them for the server
	answers      []*crashOp // final answers of all cycles
}

// crashOp is one keyed request, and what its client knows of it.
type crashOp struct {
	key, path, body string
	creates         bool // a transfer that carries the key as its reference

	status int // of the final answer; 0: in doubt
	answer []byte
}

func newCrashWorld(t *testing.T, program string) *crashWorld {
	t.Helper()
	w := &crashWorld{program: program, dir: t.TempDir()}
	s := w.start(t)
	for i := range crashAccounts {
		limit := "0"
		if i%2 == 0 {
			limit = "null"
		}
		op := &crashOp{key: fmt.Sprint("open-", i), path: "/v1/accounts",
			body: fmt.Sprintf(`{"id":"a%d","currency":"EUR","min_balance":%s}`, i, limit)}
		if s.send(op); op.status != http.StatusCreated {
			t.Fatalf("account %d: %d %s", i, op.status, op.answer)
		}
		w.answers = append(w.answers, op)
	}
	s.stop(t)
	return w
}

const crashAccounts = 16

// load has all clients send until the time is over, and returns what they
// asked. The server is killed under it.
func (w *crashWorld) load(t *testing.T, s *crashServer, seed uint64, d time.Duration) []*crashOp {
	t.Helper()
	var (
		mu    sync.Mutex
		asked []*crashOp
		stop  atomic.Bool
	)
	for client := range crashClients {
		s.clients.Go(func() {
			luck := rand.New(rand.NewPCG(seed, uint64(client)))
			var holds []string
			for n := 0; !stop.Load(); n++ {
				op := randomOp(luck, fmt.Sprintf("k-%d-%d-%d", seed, client, n), &holds)
				mu.Lock()
				asked = append(asked, op)
				mu.Unlock()
				s.send(op)
				if op.status == 0 {
					return // the server is gone
				}
				if id := heldBy(op); id != "" {
					holds = append(holds, id)
				}
			}
		})
	}
	time.Sleep(d) // the moment of the kill is the luck of this test
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	stop.Store(true)
	s.clients.Wait()
	return asked
}

// randomOp is a transfer, a hold, or the end of a hold.
func randomOp(luck *rand.Rand, key string, holds *[]string) *crashOp {
	if len(*holds) > 0 && luck.IntN(3) == 0 {
		id := (*holds)[0]
		*holds = (*holds)[1:]
		verb := [...]string{"post", "void"}[luck.IntN(2)]
		return &crashOp{key: key, path: "/v1/transfers/" + id + "/" + verb}
	}
	from := luck.IntN(crashAccounts)
	to := (from + 1 + luck.IntN(crashAccounts-1)) % crashAccounts
	return &crashOp{key: key, path: "/v1/transfers", creates: true, body: fmt.Sprintf(
		`{"from":"a%d","to":"a%d","amount":%d,"currency":"EUR","reference":"%s","pending":%t}`,
		from, to, 1+luck.IntN(1000), key, luck.IntN(4) == 0)}
}

// heldBy is the id of the hold that an operation made, if it did.
func heldBy(op *crashOp) string {
	var t struct{ ID, Status string }
	if op.status == http.StatusCreated && json.Unmarshal(op.answer, &t) == nil && t.Status == "pending" {
		return t.ID
	}
	return ""
}

// check asks for everything again that was asked in the last cycle, and for
// some of what was answered in earlier ones.
func (w *crashWorld) check(t *testing.T, s *crashServer, asked []*crashOp, luck *rand.Rand) (known, doubt int) {
	t.Helper()
	again := asked
	for range min(100, len(w.answers)) {
		again = append(again, w.answers[luck.IntN(len(w.answers))])
	}
	for _, op := range asked {
		if op.status == 0 {
			doubt++
		} else {
			known++
		}
	}
	queue := make(chan *crashOp)
	for range crashClients {
		s.clients.Go(func() {
			for op := range queue {
				s.checkOp(t, op)
			}
		})
	}
	for _, op := range again {
		queue <- op
	}
	close(queue)
	s.clients.Wait()
	w.answers = append(w.answers, asked...)
	return known, doubt
}

// audit reads the store beside the server.
func (w *crashWorld) audit(t *testing.T) {
	t.Helper()
	r, err := sqlite.OpenReader(t.Context(), w.path())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := audit.Run(t.Context(), r, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Errorf("the audit found %+v", report.Findings)
	}
}

func (w *crashWorld) path() string { return filepath.Join(w.dir, "oncepay.db") }

// crashServer is the running program.
type crashServer struct {
	cmd     *exec.Cmd
	url     string
	phase   string // a file in which the program keeps where its batch is
	stdout  *bufio.Reader
	http    *http.Client
	clients sync.WaitGroup
	stderr  bytes.Buffer
}

func (w *crashWorld) start(t *testing.T) *crashServer {
	t.Helper()
	s := launch(t, w.program, filepath.Join(w.dir, "phase"), append([]string{"--store=sqlite:" + w.path()}, w.args...)...)
	s.ready(t)
	return s
}

// launch starts `oncepay serve --dev` on a free port.
func launch(t *testing.T, program, phase string, args ...string) *crashServer {
	t.Helper()
	s := &crashServer{phase: phase}
	s.http = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: crashClients}}
	s.cmd = exec.Command(program, append([]string{"serve", "--dev", "--addr=127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(os.Environ(), "CRASHTEST_PHASE="+s.phase, "TEST_AS_PROGRAM=yes")
	s.cmd.Dir = t.TempDir() // where the sandbox's books are, unless it is told
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdout = bufio.NewReader(stdout)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	return s
}

// ready waits until a server that was launched answers.
func (s *crashServer) ready(t *testing.T) {
	t.Helper()
	line, err := s.stdout.ReadString('\n')
	_, rest, found := strings.Cut(line, "http://")
	if err != nil || !found {
		s.cmd.Process.Kill()
		s.cmd.Wait() // all of its stderr is there then
		t.Fatalf("the server did not get ready: %q %v\n%s", line, err, &s.stderr)
	}
	s.url = "http://" + strings.Fields(rest)[0]
}

// send sends a request once and keeps a final answer. Whatever else comes back,
// or does not, leaves it in doubt.
func (s *crashServer) send(op *crashOp) {
	status, header, answer, err := s.post(op)
	if err == nil && final(status) && header.Get("Idempotency-Expires") != "" {
		op.status, op.answer = status, answer
	}
}

func final(status int) bool {
	return status/100 == 2 || status == http.StatusConflict || status == http.StatusUnprocessableEntity
}

// checkOp asks again. What was answered must be answered so again. What is in
// doubt must be answered now, and a transfer must be there once.
func (s *crashServer) checkOp(t *testing.T, op *crashOp) {
	status, header, answer, err := s.post(op)
	switch {
	case err != nil:
		t.Errorf("%s: %v", op.key, err)
	case op.status != 0 && (status != op.status || !bytes.Equal(answer, op.answer)):
		t.Errorf("%s: was answered %d %s, is now %d %s", op.key, op.status, op.answer, status, answer)
	case op.status != 0 && header.Get("Idempotency-Replayed") != "true":
		t.Errorf("%s: was executed again: %d %s", op.key, status, answer)
	case !final(status):
		t.Errorf("%s: is still in doubt: %d %s", op.key, status, answer)
	default:
		if op.status == 0 {
			op.status, op.answer = status, answer
		}
		s.checkCount(t, op)
	}
}

// checkCount looks for the transfers that carry the key as their reference.
func (s *crashServer) checkCount(t *testing.T, op *crashOp) {
	if !op.creates {
		return
	}
	want := 0
	if op.status == http.StatusCreated {
		want = 1
	}
	var list struct{ Data []struct{ ID string } }
	if err := s.get("/v1/transfers?reference="+op.key, &list); err != nil {
		t.Errorf("%s: %v", op.key, err)
	}
	if len(list.Data) != want {
		t.Errorf("%s was answered %d and there are %d transfers of it", op.key, op.status, len(list.Data))
	}
}

func (s *crashServer) post(op *crashOp) (int, http.Header, []byte, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+op.path, strings.NewReader(op.body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.GetBody = nil // Go would send a keyed POST again by itself
	req.Header.Set("Idempotency-Key", op.key)
	if op.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return s.do(req)
}

func (s *crashServer) get(path string, into any) error {
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	status, _, body, err := s.do(req)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s %w", path, status, body, err)
	}
	return json.Unmarshal(body, into)
}

func (s *crashServer) do(req *http.Request) (int, http.Header, []byte, error) {
	req.Header.Set("Authorization", "Bearer sk_dev")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// killed waits for the end of a server that was killed, and says whether it was
// in the middle of a batch.
func (s *crashServer) killed(t *testing.T) (committing bool) {
	t.Helper()
	if err := s.cmd.Wait(); err == nil {
		t.Fatal("the server ended well before it was killed")
	}
	s.http.CloseIdleConnections()
	phase, err := os.ReadFile(s.phase)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Phase(phase[0]) == engine.Committing
}

// stop has the server drain, which it must do without an error.
func (s *crashServer) stop(t *testing.T) {
	t.Helper()
	s.http.CloseIdleConnections()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the server did not drain: %v\n%s", err, &s.stderr)
		}
	case <-ctx.Done():
		t.Error(errors.Join(errors.New("the server did not drain in time"), s.cmd.Process.Kill()))
	}
}
