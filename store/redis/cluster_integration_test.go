//go:build integration

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// slotOf is the slot of a key, who has it, and who else there is.
func (c cluster) slotOf(t *testing.T, name string) (slot, from, to, toPort string, src, dst *server) {
	t.Helper()
	src = c.owner(t, name)
	for _, s := range c {
		if s != src && s.role(t) == "master" {
			dst = s
		}
	}
	_, toPort, _ = strings.Cut(dst.addr, ":")
	return src.do(t, "CLUSTER", "KEYSLOT", name), src.do(t, "CLUSTER", "MYID"), dst.do(t, "CLUSTER", "MYID"), toPort, src, dst
}

// A slot is moved to another node while an attempt of a key in it is at work, and while
// nobody told the store: it is redirected, one way and the other.
func TestASlotThatMoves(t *testing.T) {
	c := startCluster(t, 0)
	s := open(t, c.addrs())
	key := once.Key{Tenant: "default", ID: "order-42"}
	slot, from, to, port, src, dst := c.slotOf(t, s.Name(key))
	move := func(what string, moving func()) {
		t.Helper()
		dst.do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from)
		src.do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", to)
		moving()
		for _, n := range []*server{dst, src} {
			n.do(t, "CLUSTER", "SETSLOT", slot, "NODE", to)
		}
		from, to, src, dst = to, from, dst, src
		_, port, _ = strings.Cut(dst.addr, ":")
	}
	migrate := func() {
		t.Helper()
		number, err := strconv.ParseInt(slot, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := src.Do(t.Context(), src.B().ClusterGetkeysinslot().Slot(number).Count(10).Build()).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		src.do(t, append([]string{"MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS"}, keys...)...)
	}

	n := newTill(t, s, once.Park, func(c *once.Config) { c.Finish = 100 * time.Millisecond })
	got, err := n.Do(t.Context(), key.ID, "the same request", func(context.Context, *once.Attempt) (string, error) {
		move("while it is at work", func() {
			migrate() // and the slot is still to be moved
			if r := load(t, s, key); r.State != once.Claimed {
				t.Errorf("a key that was moved is %s", r.State)
			}
			if seen, err := s.Swap(t.Context(), once.Record{Key: key, State: once.Claimed, Version: 1}); err != nil || seen.Won {
				t.Errorf("a claim of a key that was moved: %+v %v", seen, err)
			}
			if _, err := s.Swap(t.Context(), answered(t, load(t, s, key), "not yet")); err == nil || !strings.Contains(err.Error(), "TRYAGAIN") {
				t.Errorf("an end while the slot is moved: %v", err)
			}
		})
		return fmt.Sprint("run ", n.runs.Add(1)), nil
	})
	if err != nil || got != "run 1" {
		t.Errorf("it gets %q %v", got, err)
	}
	for range 5 { // there and back: what the store knows of the Cluster is old every time
		move("when it is done", migrate)
		if got, err := n.charge(t.Context(), key.ID); err != nil || got != "run 1" || n.runs.Load() != 1 {
			t.Fatalf("a repeat gets %q %v", got, err)
		}
		if r := load(t, s, key); r.State != once.Done {
			t.Errorf("the key is %s", r.State)
		}
	}
}

// The end of an attempt that comes while its slot is moved is written when it has moved.
func TestAnEndWhileItsSlotMoves(t *testing.T) {
	c := startCluster(t, 0)
	s := open(t, c.addrs())
	key := once.Key{Tenant: "default", ID: "order-42"}
	slot, from, to, port, src, dst := c.slotOf(t, s.Name(key))
	n := newTill(t, s, once.Park, func(c *once.Config) { c.Finish = 50 * time.Millisecond })
	got, err := n.Do(t.Context(), key.ID, "the same request", func(context.Context, *once.Attempt) (string, error) {
		dst.do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from)
		src.do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", to)
		return fmt.Sprint("run ", n.runs.Add(1)), nil
	})
	if err != nil || got != "run 1" || n.times(once.HasDoubted) != 1 {
		t.Errorf("who did it gets %q %v, after %v", got, err, n.told)
	}
	src.do(t, "MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS", s.Name(key))
	for _, n := range []*server{dst, src} {
		n.do(t, "CLUSTER", "SETSLOT", slot, "NODE", to)
	}
	if got, err := n.charge(t.Context(), key.ID); err != nil || got != "run 1" || n.runs.Load() != 1 {
		t.Errorf("a repeat gets %q %v", got, err)
	}
}

// Each key is listed once, though replicas have it, too; and a replica that is away keeps
// nobody from opening the store.
func TestReplicas(t *testing.T) {
	c := startCluster(t, 1)
	s := open(t, c.addrs())
	const keys = 50
	for i := range keys {
		put(t, s, claimed(fmt.Sprint("order-", i)))
	}
	eventually(t, "replicas are told of", func() bool {
		return !slices.ContainsFunc(c, func(n *server) bool { return strings.Count(n.do(t, "CLUSTER", "SLOTS"), "127.0.0.1") < len(c) })
	})
	s = open(t, c.addrs())
	found, next, err := s.Unfinished(t.Context(), "", 1_000)
	if err != nil || len(found) != keys || next != "" {
		t.Errorf("listed are %d of %d, and it goes on at %q: %v", len(found), keys, next, err)
	}
	for _, n := range c {
		if n.role(t) == "slave" {
			n.kill()
			break
		}
	}
	for i := range 20 { // whichever server it asks first
		put(t, open(t, c.addrs()), claimed(fmt.Sprint("while a replica is away ", i)))
	}
}

// A failover loses a claim that the replica had not received: the attempt that holds it
// cannot complete as if nothing had happened.
func TestAFailoverThatLosesAClaim(t *testing.T) {
	c := startCluster(t, 1)
	s := open(t, c.addrs())
	key := once.Key{Tenant: "default", ID: "order-42"}
	primary := c.owner(t, s.Name(key))
	replica := c.replica(t, primary)
	cutOff(t, primary, replica)

	n := newTill(t, s, once.Rerun, func(c *once.Config) { c.Finish = 20 * time.Second })
	_, err := n.Do(t.Context(), key.ID, "the same request", func(context.Context, *once.Attempt) (string, error) {
		if r := load(t, s, key); r.State != once.Claimed {
			t.Errorf("it is at work, and its key is %s", r.State)
		}
		primary.kill()
		eventually(t, "the replica is elected", func() bool { return replica.role(t) == "master" })
		return "the lost one", nil
	})
	if !errors.Is(err, once.ErrFenced) || n.times(once.HasFenced) != 1 {
		t.Errorf("it ends with %v, after %v", err, n.told)
	}
	if got, err := n.charge(t.Context(), key.ID); err != nil || got != "run 1" {
		t.Errorf("then it is free: %q %v", got, err)
	}
}

// cutOff keeps a replica from receiving anything more: it does not know the password
// that the primary has from now on.
func cutOff(t *testing.T, primary, replica *server) {
	t.Helper()
	primary.do(t, "CONFIG", "SET", "requirepass", "pw")
	primary.do(t, "CLIENT", "KILL", "TYPE", "replica")
	eventually(t, "the replica is cut off", func() bool { return replica.info(t, "replication", "master_link_status") == "down" })
}

// A primary is killed under load. What was acknowledged and is still there is right, and
// what is lost is counted: each of those may run once more, and has one answer from then
// on.
func TestAPrimaryIsKilledUnderLoad(t *testing.T) {
	for name, behind := range map[string]bool{"and its replica has kept up": false, "and its replica has not": true} {
		t.Run(name, func(t *testing.T) { killUnderLoad(t, behind) })
	}
}

func killUnderLoad(t *testing.T, behind bool) {
	c := startCluster(t, 1)
	s := open(t, c.addrs(), func(c *redis.Config) { c.Timeout = time.Second })
	n := newTill(t, s, once.Rerun, func(c *once.Config) { c.Lease, c.Wait = 2*time.Second, 30*time.Second })
	l := startLoad(t, n, 16)
	probe := once.Key{Tenant: "default", ID: "order-0-0"}
	victim := c.owner(t, s.Name(probe))
	heir := c.replica(t, victim)
	l.goOn(t)
	if behind {
		cutOff(t, victim, heir)
		l.goOn(t)
	}
	victim.kill()
	eventually(t, "the replica is elected", func() bool { return heir.role(t) == "master" })
	eventually(t, "the store has found it", func() bool { _, err := s.Load(t.Context(), probe); return err == nil })
	l.goOn(t)
	l.end()

	const quiet = 5 * time.Second // longer than an engine pauses before it tries to write an end again
	absent, claims := 0, 0
	for id, answer := range l.acknowledged {
		var r once.Record
		eventually(t, "nobody is at "+id, func() bool {
			r = load(t, s, once.Key{Tenant: "default", ID: id})
			return r.State != once.Claimed || time.Since(r.LeaseUntil) > quiet
		})
		switch r.State {
		case once.Absent:
			absent++
		case once.Claimed:
			claims++
		case once.Done:
			if string(r.Answer.Body) != strconv.Quote(answer) {
				t.Errorf("%s was told %q, and %s is kept", id, answer, r.Answer.Body)
			}
		default:
			t.Errorf("%s is %s", id, r.State)
		}
	}
	lost := absent + claims
	t.Logf("%d keys were acknowledged, and %d calls failed; the failover lost %d of the keys, and the answers of %d more", len(l.acknowledged), l.failed, absent, claims)
	if l.failed == 0 || behind && lost == 0 {
		t.Error("nobody noticed: this proves nothing")
	}
	again, ran := 0, n.runs.Load()
	for id, answer := range l.acknowledged {
		first, err := n.charge(t.Context(), id)
		second, err2 := n.charge(t.Context(), id)
		if err != nil || err2 != nil || first != second {
			t.Errorf("%s is answered %q and %q: %v %v", id, first, second, err, err2)
		}
		if first != answer {
			again++
		}
	}
	if again != lost || n.runs.Load()-ran != int64(lost) {
		t.Errorf("%d keys were lost, %d have another answer, and %d ran again", lost, again, n.runs.Load()-ran)
	}
	if _, _, err := s.Unfinished(t.Context(), "", 10); err != nil {
		t.Errorf("after the failover nothing is listed: %v", err)
	}
}

// pressure is callers who do operations, each under a new key, one after another.
type pressure struct {
	stop atomic.Bool
	wg   sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string]string // answers by key
	failed       int               // calls
}

func startLoad(t *testing.T, n *till, callers int) *pressure {
	l := &pressure{acknowledged: map[string]string{}}
	for i := range callers {
		l.wg.Go(func() {
			for j := 0; !l.stop.Load(); j++ {
				id := fmt.Sprintf("order-%d-%d", i, j)
				got, err := n.charge(t.Context(), id)
				l.note(id, got, err)
			}
		})
	}
	return l
}

func (l *pressure) note(id, got string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed++
		return
	}
	l.acknowledged[id] = got
}

// goOn waits until a good deal more was acknowledged.
func (l *pressure) goOn(t *testing.T) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acknowledged)
	}
	before := count()
	eventually(t, "the load goes on", func() bool { return count() > before+2_000 })
}

func (l *pressure) end() {
	l.stop.Store(true)
	l.wg.Wait()
}
