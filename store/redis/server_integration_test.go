//go:build integration

package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// These tests need redis-server and redis-cli. Every server is the test's own.

var secret = []byte("0123456789abcdef")

// server is a redis-server on a port of its own.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
	gone chan struct{} // closed when its process has ended
	rueidis.Client
}

// startServer starts a server that keeps nothing on disk, unless args say so.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	for range 5 { // somebody else may take the port that was free
		s := &server{addr: "127.0.0.1:" + freePort(t)}
		_, port, _ := net.SplitHostPort(s.addr)
		s.args = append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "no", "--cluster-port", freePort(t),
		}, args...)
		if s.start(t) {
			return s
		}
	}
	t.Fatal("no redis-server could be started")
	return nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// start starts the server's process, and says whether it answers.
func (s *server) start(t testing.TB) bool {
	t.Helper()
	var out bytes.Buffer
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%v: scripts/deps installs it", err)
	}
	cmd, gone := s.cmd, make(chan struct{})
	s.gone = gone
	go func() { cmd.Wait(); close(gone) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-gone })
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-gone:
			t.Logf("redis-server ended: %s", out.String())
			return false
		default:
		}
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.addr}, ForceSingleClient: true, DisableCache: true, DisableRetry: true})
		if err == nil {
			s.Client = client
			t.Cleanup(client.Close)
			return true
		}
	}
	return false
}

// kill kills the server's process, and waits until that is gone.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.gone
}

// do has the server do something, and returns what it answers, as text.
func (s *server) do(t testing.TB, words ...string) string {
	t.Helper()
	answer, err := s.try(t.Context(), words...)
	if err != nil {
		t.Fatalf("%s: %v: %v", s.addr, words, err)
	}
	return answer
}

func (s *server) try(ctx context.Context, words ...string) (string, error) {
	m, err := s.Do(ctx, s.B().Arbitrary(words...).Build()).ToAny()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return fmt.Sprint(m), err
}

// info is one line of INFO.
func (s *server) info(t testing.TB, section, name string) string {
	t.Helper()
	for line := range strings.Lines(s.do(t, "INFO", section)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+":"); found {
			return value
		}
	}
	return ""
}

// calls is how often a command was called so far, by clients and by scripts.
func (s *server) calls(t testing.TB, command string) (n int) {
	t.Helper()
	fmt.Sscanf(s.info(t, "commandstats", "cmdstat_"+command), "calls=%d", &n)
	return n
}

// cluster is a Cluster of servers.
type cluster []*server

// startCluster starts three primaries, and so many replicas for each.
func startCluster(t testing.TB, replicas int) cluster {
	t.Helper()
	var c cluster
	create := []string{"--cluster", "create"}
	for range 3 * (1 + replicas) {
		s := startServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		c = append(c, s)
		create = append(create, s.addr)
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	eventually(t, "the cluster is up", func() bool {
		return !slices.ContainsFunc(c, func(s *server) bool {
			return !strings.Contains(s.do(t, "CLUSTER", "INFO"), "cluster_state:ok") ||
				s.role(t) == "slave" && s.info(t, "replication", "master_link_status") != "up"
		})
	})
	return c
}

func (s *server) role(t testing.TB) string { return s.info(t, "replication", "role") }

// owner is the primary that has a key.
func (c cluster) owner(t testing.TB, name string) *server {
	t.Helper()
	for _, s := range c {
		_, err := s.try(t.Context(), "GET", name)
		if moved, is := rueidis.IsRedisErr(err); is {
			if addr, is := moved.IsMoved(); is {
				return c[slices.IndexFunc(c, func(s *server) bool { return s.addr == addr })]
			}
		}
		if err == nil && s.role(t) == "master" {
			return s
		}
	}
	t.Fatal("nobody has the key")
	return nil
}

// replica is that of a primary.
func (c cluster) replica(t testing.TB, of *server) *server {
	t.Helper()
	_, port, _ := net.SplitHostPort(of.addr)
	i := slices.IndexFunc(c, func(s *server) bool { return s != of && s.info(t, "replication", "master_port") == port })
	if i < 0 {
		t.Fatalf("%s has no replica", of.addr)
	}
	return c[i]
}

func (c cluster) addrs() (addrs []string) {
	for _, s := range c {
		addrs = append(addrs, s.addr)
	}
	return addrs
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so that %s", what)
		}
	}
}

// open opens a store that logs nothing.
func open(t testing.TB, addrs []string, change ...func(*redis.Config)) *redis.Store {
	t.Helper()
	cfg := redis.Config{Addrs: addrs, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	s, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// till runs an operation on a store, and counts how often it ran.
type till struct {
	once.Operation[string]
	runs atomic.Int64

	mu   sync.Mutex
	told []string
}

func newTill(t testing.TB, store once.Store, p once.Policy, change ...func(*once.Config)) *till {
	t.Helper()
	n := &till{}
	cfg := once.Config{Scope: once.SingleTenant, Secret: secret, Wait: time.Minute, Observe: func(_ context.Context, e once.Event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, e.Happening.String())
	}}
	for _, c := range change {
		c(&cfg)
	}
	eng, err := once.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Operation = once.Operation[string]{Engine: eng, Name: "charge", Vanished: p}
	return n
}

// charge does the operation, which says which run it was.
func (n *till) charge(ctx context.Context, id string) (string, error) {
	return n.Do(ctx, id, "the same request", func(context.Context, *once.Attempt) (string, error) {
		return fmt.Sprint("run ", n.runs.Add(1)), nil
	})
}

// times is how often the engine told of something.
func (n *till) times(happening once.Happening) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, told := range n.told {
		if told == happening.String() {
			count++
		}
	}
	return count
}

// proxy passes connections on to a server, counts what clients send, and loses answers.
type proxy struct {
	addr  string
	delay time.Duration // of what is sent, and of what is answered
	sends atomic.Int64  // pieces that clients sent

	lose atomic.Pointer[string] // the answer to what has this in it is not passed on: its connection ends
}

func startProxy(t testing.TB, to string, delay time.Duration) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), delay: delay}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			var doomed atomic.Bool
			wg.Go(func() {
				p.pass(server, client, func(piece []byte) bool {
					p.sends.Add(1)
					if word := p.lose.Load(); word != nil && bytes.Contains(piece, []byte(*word)) && p.lose.CompareAndSwap(word, nil) {
						doomed.Store(true)
					}
					return true
				})
			})
			wg.Go(func() { p.pass(client, server, func([]byte) bool { return !doomed.Load() }) })
		}
	})
	return p
}

// pass passes on what comes, until either side ends or keep says no.
func (p *proxy) pass(to, from net.Conn, keep func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !keep(buf[:n]) {
			return
		}
		time.Sleep(p.delay)
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// claimed is a first claim of a key.
func claimed(id string) once.Record {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return once.Record{
		Key: once.Key{Tenant: "acme", ID: id}, State: once.Claimed, Fingerprint: once.Fingerprint{Scheme: once.SchemeV1, Sum: [32]byte{1}},
		Operation: "charge", Attempt: 1, Owner: "me.1", LeaseUntil: now.Add(30 * time.Second), CreatedAt: now,
		ExpiresAt: now.Add(24 * time.Hour), ForgetAt: now.Add(400 * 24 * time.Hour), Version: 1,
	}
}

// answered is a claim that has its answer.
func answered(t testing.TB, claim once.Record, body string) once.Record {
	t.Helper()
	done, err := claim.Complete(claim.Attempt, "", once.Answer{Status: 200, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	done.Version++
	return done
}

// put writes a record that must win.
func put(t testing.TB, s *redis.Store, r once.Record) {
	t.Helper()
	if seen, err := s.Swap(t.Context(), r); err != nil || !seen.Won {
		t.Fatalf("version %d of %v: %+v %v", r.Version, r.Key, seen.Record, err)
	}
}

// load is what is under a key.
func load(t testing.TB, s *redis.Store, k once.Key) once.Record {
	t.Helper()
	seen, err := s.Load(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return seen.Record
}
