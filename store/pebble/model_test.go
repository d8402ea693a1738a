package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// model is what a store was told and has shown: what it must still have after a
// crash.
type model struct {
	mu    sync.Mutex
	keys  map[once.Key]*history
	at    time.Time // the last time that the store has told
	swept time.Time // answers that were over then may be gone, and keys that were to be forgotten
	n     int
}

// history is what one key was told to be, and has been seen as.
type history struct {
	tried []once.Record // all that were to be written
	seen  once.Record   // the last one that was acknowledged or shown
}

func newModel() *model { return &model{keys: map[once.Key]*history{}} }

// snapshot is the model as it is now: a store that is cut off later has all of it.
func (m *model) snapshot() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &model{keys: map[once.Key]*history{}, at: m.at, swept: m.swept, n: m.n}
	for k, h := range m.keys {
		c.keys[k] = &history{slices.Clone(h.tried), h.seen}
	}
	return c
}

// tried adds what a later model has of what was to be done.
func (m *model) tried(later *model) {
	m.swept, m.n = later.swept, later.n
	for k, h := range later.keys {
		m.of(k).tried = h.tried
	}
}

func (m *model) of(k once.Key) *history {
	h := m.keys[k]
	if h == nil {
		h = &history{seen: once.Record{Key: k}}
		m.keys[k] = h
	}
	return h
}

// try notes what is about to be written.
func (m *model) try(r once.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.of(r.Key)
	h.tried = append(h.tried, r)
}

// moment is what was known when something was asked.
type moment struct {
	at      time.Time
	version int64
}

func (m *model) now(k once.Key) moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return moment{m.at, m.of(k).seen.Version}
}

// saw notes what was shown, and says what is wrong with that.
func (m *model) saw(seen once.Seen, began moment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seen.At.Before(began.at) {
		return fmt.Errorf("it is %v, and was %v before", seen.At, began.at)
	}
	if seen.At.After(m.at) {
		m.at = seen.At
	}
	h := m.of(seen.Record.Key)
	if seen.Record.Version < began.version && !m.forgettable(h) {
		return fmt.Errorf("%s is at version %d after it was at %d", seen.Record.Key.ID, seen.Record.Version, began.version)
	}
	if err := m.check(h, seen.Record); err != nil {
		return err
	}
	if seen.Record.Version > h.seen.Version {
		h.seen = seen.Record
	}
	return nil
}

// check says whether a record can be what is under a key. The caller holds mu.
func (m *model) check(h *history, got once.Record) error {
	if got.Version == 0 {
		return nil
	}
	for _, r := range h.tried {
		if m.same(got, r) {
			if got.Version == h.seen.Version && h.seen.Owner != got.Owner {
				return fmt.Errorf("version %d has two winners: %+v and %+v", got.Version, got, h.seen)
			}
			return nil
		}
	}
	return fmt.Errorf("nobody wrote %+v", got)
}

// same says whether one record is another, or what that is when it is swept.
func (m *model) same(got, r once.Record) bool {
	return got.Owner == r.Owner && (equal(got, r) || equal(got, r.Bury(m.swept)))
}

// equal says whether two records are the same, as they are kept.
func equal(a, b once.Record) bool {
	as, _ := a.AppendBinary(nil)
	bs, _ := b.AppendBinary(nil)
	return bytes.Equal(as, bs)
}

// forgettable says whether the key may be gone: it is one that is kept for a day, and
// is finished, or was to be.
func (m *model) forgettable(h *history) bool {
	return slices.ContainsFunc(h.tried, func(r once.Record) bool {
		return r.State == once.Done && !r.ForgetAt.After(m.swept)
	})
}

// checkAll holds that a store has all of what was acknowledged or shown.
func (m *model) checkAll(s *pebble.Store) error {
	for k, h := range m.keys {
		seen, err := s.Load(context.Background(), k)
		if err != nil {
			return err
		}
		got := seen.Record
		if got.Version < h.seen.Version && !m.forgettable(h) {
			return fmt.Errorf("%s was %s at version %d and is %s at version %d", k.ID, h.seen.State, h.seen.Version, got.State, got.Version)
		}
		if err := m.check(h, got); err != nil {
			return err
		}
		if seen.At.Before(m.at) {
			return fmt.Errorf("it is %v, and was %v before", seen.At, m.at)
		}
		m.mu.Lock() // the power may be cut just now
		h.seen = got
		m.mu.Unlock()
	}
	return m.checkList(s)
}

// checkList holds that what is unfinished is listed, and nothing else.
func (m *model) checkList(s *pebble.Store) error {
	open := map[once.Key]bool{}
	for after, more := "", true; more; more = after != "" {
		list, next, err := s.Unfinished(context.Background(), after, 2)
		if err != nil {
			return err
		}
		for _, r := range list {
			open[r.Key] = true
		}
		after = next
	}
	for k, h := range m.keys {
		if is := h.seen.State == once.Claimed || h.seen.State == once.Unknown; is != open[k] {
			return fmt.Errorf("%s is %s; listed: %v", k.ID, h.seen.State, open[k])
		}
	}
	return nil
}

// step loads a key and makes it something else, or sweeps, or uses a key that is soon
// forgotten.
func (m *model) step(s *pebble.Store, rnd *rand.Rand) error {
	switch rnd.IntN(20) {
	case 0:
		return m.sweep(s)
	case 1, 2, 3:
		return m.brief(s, rnd)
	}
	k := once.Key{Tenant: "acme", ID: fmt.Sprint("key", rnd.IntN(8))}
	began := m.now(k)
	seen, err := s.Load(context.Background(), k)
	if err == nil {
		err = m.saw(seen, began)
	}
	if err != nil {
		return err
	}
	return m.swap(s, m.next(seen, rnd, 400*24*time.Hour))
}

func (m *model) swap(s *pebble.Store, next once.Record) error {
	m.try(next)
	began := m.now(next.Key)
	seen, err := s.Swap(context.Background(), next)
	if err != nil {
		return err
	}
	return m.saw(seen, began)
}

// brief claims a key that was to be forgotten by now, and may finish it.
func (m *model) brief(s *pebble.Store, rnd *rand.Rand) error {
	k := once.Key{Tenant: "acme", ID: fmt.Sprint("brief", m.number())}
	claim := m.next(once.Seen{Record: once.Record{Key: k}, At: m.now(k).at.Add(-25 * time.Hour)}, rnd, 24*time.Hour)
	err := m.swap(s, claim)
	if err != nil || rnd.IntN(4) == 0 {
		return err
	}
	done, _ := claim.Complete(claim.Attempt, "", once.Answer{Status: 201, Body: []byte(k.ID)})
	done.Version++
	return m.swap(s, done)
}

func (m *model) number() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	return m.n
}

// sweep forgets what is over.
func (m *model) sweep(s *pebble.Store) error {
	m.mu.Lock()
	m.swept = m.at
	now := m.at
	m.mu.Unlock()
	_, err := s.Sweep(context.Background(), now)
	return err
}

// next is a record that may follow.
func (m *model) next(seen once.Seen, rnd *rand.Rand, tombstones time.Duration) once.Record {
	n, r := m.number(), seen.Record
	born := seen.At.Add(-time.Duration(rnd.IntN(2)) * 25 * time.Hour) // so that some are over at once
	switch r.State {
	case once.Claimed, once.Unknown:
		switch rnd.IntN(6) {
		case 0:
			r, _ = r.Release(r.Attempt)
		case 1:
			r, _ = r.Doubt(r.Attempt, "nobody knows")
		case 2:
			r, _ = r.Renew(r.Attempt, seen.At, time.Minute)
		default:
			size := 1 << rnd.IntN(17) // some fill a table in memory
			r, _ = r.Complete(r.Attempt, "", once.Answer{Status: 201, Body: bytes.Repeat([]byte{byte(n)}, size)})
		}
	case once.Done, once.Tombstone:
		r.Note = fmt.Sprint("changed by ", n)
	default:
		rules := once.Rules{Window: 24 * time.Hour, Lease: time.Minute, Tombstones: tombstones}
		r = once.Decide(r, once.Request{Key: r.Key, Operation: "charge"}, born, rules).Record
	}
	r.Owner = fmt.Sprint("owner ", n)
	r.Version = seen.Record.Version + 1
	return r
}

func mustOpen(tb testing.TB, open func() (*pebble.Store, error)) *pebble.Store {
	tb.Helper()
	s, err := open()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
