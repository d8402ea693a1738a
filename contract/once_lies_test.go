package contract

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
)

// onceLiar is the store of keys in memory, but for one small lie.
type onceLiar struct {
	*once.Memory
	lie string

	mu    sync.Mutex
	stale map[once.Key]once.Record
}

func (l *onceLiar) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, err := l.Memory.Load(ctx, next.Key)
	if err != nil {
		return before, err
	}
	switch l.lie {
	case "writes whatever the version":
		next.Version = before.Record.Version + 1
	case "takes any later version":
		if next.Version > before.Record.Version {
			kept := next
			kept.Version = before.Record.Version + 1
			seen, err := l.Memory.Swap(ctx, kept)
			seen.Record.Version = next.Version
			return seen, err
		}
	case "lets two claims win":
		if before.Record.Version == 1 && next.Version == 1 {
			return once.Seen{Record: next, Won: true, At: time.Now()}, nil
		}
	case "does not say what it lost to":
		if before.Record.Version != next.Version-1 {
			return once.Seen{Record: once.Record{Key: next.Key}, At: time.Now()}, nil
		}
	case "ignores tenants":
		next.Key.Tenant = "everyone"
	case "drops the second cookie":
		if len(next.Answer.Header) > 1 {
			next.Answer.Header = next.Answer.Header[:1]
		}
	case "cuts bodies off":
		next.Answer.Body = next.Answer.Body[:min(len(next.Answer.Body), 1<<19)]
	case "forgets recovery points":
		next.Progress = nil
	case "forgets who owns it":
		next.Owner = ""
	case "keeps seconds":
		next.ExpiresAt = next.ExpiresAt.Truncate(time.Second)
	case "reads what is old":
		l.stale[next.Key] = before.Record
	}
	seen, err := l.Memory.Swap(ctx, next)
	return seen, err
}

func (l *onceLiar) Load(ctx context.Context, k once.Key) (once.Seen, error) {
	seen, err := l.Memory.Load(ctx, k)
	switch l.lie {
	case "ignores tenants":
		seen, err = l.Memory.Load(ctx, once.Key{Tenant: "everyone", ID: k.ID})
		seen.Record.Key = k
	case "reads what is old":
		l.mu.Lock()
		defer l.mu.Unlock()
		if old, known := l.stale[k]; known {
			seen.Record = old
		}
	case "tells times of its own":
		seen.At = time.Unix(0, 0)
	}
	return seen, err
}

func (l *onceLiar) Unfinished(ctx context.Context, after string, limit int) ([]once.Record, string, error) {
	found, next, err := l.Memory.Unfinished(ctx, after, limit)
	switch l.lie {
	case "ends its list early":
		next = ""
	case "lists what is at work only":
		found = found[:0]
	}
	return found, next, err
}

func (l *onceLiar) Sweep(ctx context.Context, now time.Time) (bool, error) { return false, nil }

// trying is a test that may fail without failing the one that it is part of.
type trying struct {
	testing.TB
	failed atomic.Bool
}

func (t *trying) Errorf(string, ...any) { t.failed.Store(true) }
func (t *trying) Error(...any)          { t.failed.Store(true) }
func (t *trying) Fatalf(string, ...any) { t.failed.Store(true); runtime.Goexit() }
func (t *trying) Fatal(...any)          { t.failed.Store(true); runtime.Goexit() }

// A suite that a broken store passes would be worth nothing.
func TestTheSuiteFindsBrokenStores(t *testing.T) {
	for _, lie := range []string{
		"writes whatever the version", "takes any later version", "lets two claims win", "does not say what it lost to", "ignores tenants",
		"drops the second cookie", "cuts bodies off", "forgets recovery points", "forgets who owns it", "keeps seconds", "reads what is old",
		"tells times of its own", "ends its list early", "lists what is at work only", "never sweeps",
	} {
		if !foundBy(t, lie) {
			t.Errorf("a store that %s passes", lie)
		}
	}
}

// foundBy says whether a promise fails on a store with the lie.
func foundBy(t *testing.T, lie string) bool {
	for _, p := range storePromises {
		try := &trying{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.keep(&drawer{TB: try, ctx: t.Context(), Store: &onceLiar{Memory: once.NewMemory(), lie: lie, stale: map[once.Key]once.Record{}}})
		}()
		<-done
		if try.failed.Load() {
			return true
		}
	}
	return false
}
