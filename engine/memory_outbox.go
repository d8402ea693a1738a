package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oncepay/oncepay/outbox"
)

var (
	_ outbox.Store = (*Memory)(nil)
	_ outbox.Books = (*Memory)(nil)
)

// memorySink is the cursor of a sink, and who has it.
type memorySink struct {
	outbox.Cursor
	holder string
	until  time.Time
}

// EventsAfter is [outbox.Store]'s: an event's place is its number.
func (m *Memory) EventsAfter(_ context.Context, after outbox.Position, limit int) (events []outbox.Placed, more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := int(after); i < len(m.events); i++ {
		if len(events) == limit {
			return events, true, nil
		}
		e := m.events[i]
		e.Data = slices.Clone(e.Data)
		events = append(events, outbox.Placed{Event: e, Position: outbox.Position(i + 1)})
	}
	return events, false, nil
}

// TakeSink is [outbox.Store]'s.
func (m *Memory) TakeSink(_ context.Context, sink, holder string, lease time.Duration) (outbox.Cursor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	s, ok := m.sinks[sink]
	if !ok {
		s = &memorySink{Cursor: outbox.Cursor{Sink: sink}}
		m.sinks[sink] = s
	}
	if s.holder != holder {
		if s.holder != "" && now.Before(s.until) {
			return outbox.Cursor{}, outbox.ErrHeld
		}
		s.holder = holder
		s.Fence++
	}
	s.until = now.Add(lease)
	return s.Cursor, nil
}

// KeepSink is [outbox.Store]'s.
func (m *Memory) KeepSink(_ context.Context, c outbox.Cursor, lease time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sinks[c.Sink]
	if !ok || s.Fence != c.Fence || s.holder == "" {
		return outbox.ErrLost
	}
	s.Position, s.until = c.Position, time.Now().Add(lease)
	if lease == 0 {
		s.holder = ""
	}
	return nil
}

// Sinks is [outbox.Books]'.
func (m *Memory) Sinks(context.Context) (all []outbox.State, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range slices.SortedFunc(maps.Values(m.sinks), func(a, b *memorySink) int { return cmp.Compare(a.Sink, b.Sink) }) {
		state := outbox.State{Sink: s.Sink, Position: s.Position, Lag: int64(len(m.events)) - int64(s.Position), Holder: s.holder}
		if s.holder != "" {
			state.LeaseUntil = s.until
		}
		if state.Lag > 0 {
			state.OldestAt = m.events[s.Position].At
		}
		all = append(all, state)
	}
	return all, nil
}

// MoveSink is [outbox.Books]'.
func (m *Memory) MoveSink(_ context.Context, sink string, to outbox.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sinks[sink]
	if !ok {
		return outbox.ErrNoSink
	}
	s.Position, s.holder = min(max(to, 0), outbox.Position(len(m.events))), ""
	s.Fence++
	return nil
}

// PlaceOf is [outbox.Books]'.
func (m *Memory) PlaceOf(_ context.Context, id string) (outbox.Position, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.events, func(e outbox.Event) bool { return e.ID == id })
	return outbox.Position(i + 1), i >= 0, nil
}

// PlaceAt is [outbox.Books]'.
func (m *Memory) PlaceAt(_ context.Context, t time.Time) (outbox.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.events, func(e outbox.Event) bool { return !e.At.Before(t) })
	if i < 0 {
		i = len(m.events)
	}
	return outbox.Position(i), nil
}

// EventsSince returns the events of a tenant that a filter leaves, the oldest first, and
// a cursor to go on from: also if there is none. An empty cursor is the end of what there is
// now. It fails with ErrBadCursor.
func (m *Memory) EventsSince(_ context.Context, tenant string, f EventFilter, cursor string, limit int) (l List[outbox.Event], err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, last := fmt.Sprintf("events since of %q, %q", tenant, f), len(m.events)
	if cursor != "" {
		if last, err = readCursor(name, cursor, len(m.events)+1); err != nil {
			return l, err
		}
	}
	for ; last < len(m.events) && len(l.Items) < limit; last++ {
		if e := m.events[last]; e.Tenant == tenant && f.Match(e) {
			e.Data = slices.Clone(e.Data)
			l.Items = append(l.Items, e)
		}
	}
	l.Next = writeCursor(name, last)
	return l, nil
}
