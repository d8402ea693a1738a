package once

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a [Store] in memory: for tests, for one process, and for those whose
// duplicates come within its life. It forgets everything with its process, and
// then a retry runs again. [NewMemory] makes one; it is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	records map[Key]Record
	bury    []fading // answers by the end of their window, in the order in which they came
	forget  []fading // keys by their ForgetAt, in the order in which they came
}

// fading is something that will be dropped.
type fading struct {
	key Key
	at  time.Time
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{records: map[Key]Record{}} }

// Swap is [Store]'s.
func (m *Memory) Swap(_ context.Context, next Record) (Seen, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	m.bury = m.fade(m.bury, now, m.buryOne)
	m.forget = m.fade(m.forget, now, m.forgetOne)
	seen, known := m.records[next.Key]
	if seen.Version != next.Version-1 {
		seen.Key = next.Key
		return Seen{Record: seen, At: now}, nil
	}
	next.Progress, next.Answer.Body = bytes.Clone(next.Progress), bytes.Clone(next.Answer.Body)
	next.Answer.Header = slices.Clone(next.Answer.Header)
	m.records[next.Key] = next
	if !known && !next.ForgetAt.IsZero() {
		m.forget = append(m.forget, fading{next.Key, next.ForgetAt})
	}
	if next.State == Done {
		m.bury = append(m.bury, fading{next.Key, next.ExpiresAt})
	}
	return Seen{Record: next, Won: true, At: now}, nil
}

// Load is [Store]'s.
func (m *Memory) Load(_ context.Context, key Key) (Seen, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[key]
	r.Key = key
	return Seen{Record: r, At: time.Now().UTC()}, nil
}

// fadeAtOnce is how much a Swap looks at that may be over: more than it adds, so
// that what is over gets less, and little, so that no Swap pays for many others.
const fadeAtOnce = 2

// fade drops what is over at the head of a queue, a little at a time. The caller
// holds mu.
func (m *Memory) fade(q []fading, now time.Time, drop func(Key, time.Time) (again time.Time)) []fading {
	for range fadeAtOnce {
		if len(q) == 0 || q[0].at.After(now) {
			break
		}
		first := q[0]
		q = q[1:]
		if again := drop(first.key, now); !again.IsZero() {
			q = append(q, fading{first.key, again})
		}
	}
	return q
}

func (m *Memory) buryOne(k Key, now time.Time) (again time.Time) {
	if r, known := m.records[k]; known {
		m.records[k] = r.Bury(now)
	}
	return time.Time{}
}

// forgetOne forgets a key, unless it is unfinished: that stays for good, like in
// every store.
func (m *Memory) forgetOne(k Key, now time.Time) (again time.Time) {
	switch r := m.records[k]; {
	case r.unfinished():
		return now.Add(time.Hour)
	case r.ExpiresAt.After(now): // its answer came late
		return r.ExpiresAt
	}
	delete(m.records, k)
	return time.Time{}
}

// Unfinished is [Lister]'s. Keys are in the order of their names.
func (m *Memory) Unfinished(_ context.Context, after string, limit int) (found []Record, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := func(k Key) string { return k.Tenant + "\x00" + k.ID }
	for k, r := range m.records {
		if r.unfinished() && name(k) > after {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return bytes.Compare([]byte(name(a.Key)), []byte(name(b.Key))) })
	if len(found) > limit {
		found = found[:limit]
		next = name(found[limit-1].Key)
	}
	return found, next, nil
}

// unfinished says whether an attempt holds the record, or has left it.
func (r *Record) unfinished() bool { return r.State == Claimed || r.State == Unknown }
