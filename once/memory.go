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
	records map[Key]*Record
	bury    []fading // answers by the end of their window, in the order in which they came
	forget  []fading // keys by their ForgetAt, in the order in which they came
}

// fading is a record that will be over.
type fading struct {
	*Record
	at int64 // Unix microseconds
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{records: map[Key]*Record{}} }

// Swap is [Store]'s.
func (m *Memory) Swap(_ context.Context, next Record) (Seen, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	m.bury = m.fade(m.bury, now, m.buryOne)
	m.forget = m.fade(m.forget, now, m.forgetOne)
	r, known := m.records[next.Key]
	if !known {
		r = &Record{Key: next.Key}
	}
	if r.Version != next.Version-1 {
		return Seen{Record: *r, At: now}, nil
	}
	next.Progress, next.Answer.Body = bytes.Clone(next.Progress), bytes.Clone(next.Answer.Body)
	next.Answer.Header = slices.Clone(next.Answer.Header)
	*r = next
	if !known {
		m.records[next.Key] = r
	}
	if !known && !next.ForgetAt.IsZero() {
		m.forget = append(m.forget, fading{r, next.ForgetAt.UnixMicro()})
	}
	if next.State == Done {
		m.bury = append(m.bury, fading{r, next.ExpiresAt.UnixMicro()})
	}
	return Seen{Record: next, Won: true, At: now}, nil
}

// Load is [Store]'s.
func (m *Memory) Load(_ context.Context, key Key) (Seen, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := Seen{Record: Record{Key: key}, At: time.Now().UTC()}
	if r, known := m.records[key]; known {
		seen.Record = *r
	}
	return seen, nil
}

// fadeAtOnce is how much a Swap looks at that may be over: more than it adds, so
// that what is over gets less, and little, so that no Swap pays for many others.
const fadeAtOnce = 2

// fade drops what is over at the head of a queue, a little at a time. The caller
// holds mu.
func (m *Memory) fade(q []fading, now time.Time, drop func(*Record, time.Time) (again time.Time)) []fading {
	for range fadeAtOnce {
		if len(q) == 0 || q[0].at >= now.UnixMicro() {
			break
		}
		first := q[0]
		q[0] = fading{} // the queue may live long
		q = q[1:]
		if again := drop(first.Record, now); !again.IsZero() {
			q = append(q, fading{first.Record, again.UnixMicro()})
		}
	}
	return q
}

func (m *Memory) buryOne(r *Record, now time.Time) (again time.Time) {
	*r = r.Bury(now)
	return time.Time{}
}

// forgetOne forgets a key, unless it is unfinished: that stays for good, like in
// every store.
func (m *Memory) forgetOne(r *Record, now time.Time) (again time.Time) {
	switch {
	case r.unfinished():
		return now.Add(time.Hour)
	case r.ExpiresAt.After(now): // its answer came late
		return r.ExpiresAt
	}
	delete(m.records, r.Key)
	return time.Time{}
}

// Unfinished is [Lister]'s. Keys are in the order of their names.
func (m *Memory) Unfinished(_ context.Context, after string, limit int) (found []Record, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := func(k Key) string { return k.Tenant + "\x00" + k.ID }
	for k, r := range m.records {
		if r.unfinished() && name(k) > after {
			found = append(found, *r)
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
