package engine

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Upkeep is what a store offers so that what is due gets done and what is over
// gets dropped. Its methods are safe beside Load and Commit.
type Upkeep interface {
	// DueHolds returns up to limit pending transfers whose ExpiresAt is not after
	// now, the longest due first.
	DueHolds(ctx context.Context, now time.Time, limit int) ([]ledger.Ref, error)

	// CountReplays adds to the Replays of records. Keys that are not there any
	// more are passed over.
	CountReplays(ctx context.Context, counts map[once.Key]int64) error

	// Sweep drops the answers of keys whose window was over at now, and the keys
	// themselves if they were made before forget: from then on nothing is known
	// of them. It drops the notices that came more than NoticesKept before now. It
	// does a bounded piece of work, and says whether there is more.
	Sweep(ctx context.Context, now, forget time.Time) (more bool, err error)
}

// UpkeepConfig says how a store is kept. Its zero value works.
type UpkeepConfig struct {
	// Tombstones is how long a key is refused after it was first seen. What is
	// older is forgotten, and would be executed again.
	//
	// Defaults to 400 days.
	Tombstones time.Duration

	// Skew is how far the clock may jump before sweeping stops: a clock that was
	// set forward would have keys forgotten early.
	//
	// Defaults to 5 minutes.
	Skew time.Duration

	// Uptime is how long this machine has been running, by a clock that nobody
	// sets. It should go on while the machine is suspended: else a suspension
	// looks like a clock that was set forward.
	//
	// Defaults to Go's monotonic clock, which on Linux stops in a suspension.
	Uptime func() time.Duration

	// Log is told what could not be done.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c UpkeepConfig) withDefaults() UpkeepConfig {
	c.Tombstones = cmp.Or(c.Tombstones, 400*24*time.Hour)
	c.Skew = cmp.Or(c.Skew, 5*time.Minute)
	c.Log = cmp.Or(c.Log, slog.Default())
	if began := time.Now(); c.Uptime == nil {
		c.Uptime = func() time.Duration { return time.Since(began) }
	}
	return c
}

const (
	upkeepPeriod = time.Second // a hold ends, and a replay is counted, about that late
	sweepPeriod  = time.Minute
	dueLimit     = 256 // holds that are expired at once: they take places in the queue
	dueRounds    = 16  // how often at most in a period, so that a store that repeats itself is no endless loop
)

// Keep expires holds, counts replays and sweeps until ctx ends. Failures are
// logged and tried again: nothing that is promised depends on it being on time.
// While the clock is not to be trusted nothing is expired or dropped: money that
// was released, and a key that was forgotten, cannot be taken back.
func (e *Executor) Keep(ctx context.Context, store Upkeep, cfg UpkeepConfig) {
	cfg = cfg.withDefaults()
	trust := watchClock(cfg)
	e.trust.Store(trust)
	trust.compare(e.Now(), time.Now(), cfg.Log)
	whole := context.WithoutCancel(ctx) // counts that were taken are in nobody's memory any more
	swept := time.Now()
	ticker := time.NewTicker(upkeepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			e.countReplays(whole, store, cfg.Log)
			return
		case <-ticker.C:
		}
		e.countReplays(whole, store, cfg.Log)
		if trust.lost(cfg.Log) {
			continue
		}
		e.expireHolds(ctx, store, cfg.Log)
		if time.Since(swept) >= sweepPeriod {
			swept = time.Now()
			e.sweep(ctx, store, e.sweepTime(trust.watched()), cfg)
		}
	}
}

func (e *Executor) expireHolds(ctx context.Context, store Upkeep, log *slog.Logger) {
	for range dueRounds {
		if !e.expireSome(ctx, store, log) {
			return
		}
	}
}

// expireSome expires as many holds as may be at once, and says whether there may
// be more. It says no if one of them could not be expired.
func (e *Executor) expireSome(ctx context.Context, store Upkeep, log *slog.Logger) (more bool) {
	// By the machine's clock: the store's may still be ahead of a clock that was
	// set back to what is right.
	due, err := store.DueHolds(ctx, time.Now().UTC(), dueLimit)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("holds that are due could not be read; they are expired later", "err", err)
		}
		return false
	}
	jobs := make([]*Job, len(due))
	for i, ref := range due {
		jobs[i] = &Job{Tenant: ref.Tenant, Command: ledger.ExpireTransfer{Ref: ref}, Reply: noReply}
	}
	more = len(due) == dueLimit
	for i, o := range e.DoAll(ctx, jobs) {
		if o.Err != nil {
			log.Warn("a hold that is due is expired later", "transfer", due[i].ID, "err", o.Err)
			more = false
		}
	}
	return more
}

func noReply(ledger.Result, *ledger.Refusal) once.Answer { return once.Answer{} }

func (e *Executor) countReplays(ctx context.Context, store Upkeep, log *slog.Logger) {
	counts := e.counts.take()
	if len(counts) == 0 {
		return
	}
	if err := store.CountReplays(ctx, counts); err != nil {
		log.Warn("replays of a second were not counted", "keys", len(counts), "err", err)
	}
}

// sweepTime is the time by which keys are dropped: that of the store's last
// commit before this run, and on by a clock that nobody sets. A machine that
// starts with a wrong clock forgets nothing by it; that what was over while
// nobody ran is dropped later is no harm.
func (e *Executor) sweepTime(since time.Duration) time.Time {
	if e.cfg.Since.IsZero() {
		return e.Now()
	}
	return e.cfg.Since.Add(since)
}

func (e *Executor) sweep(ctx context.Context, store Upkeep, now time.Time, cfg UpkeepConfig) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = store.Sweep(ctx, now, now.Add(-cfg.Tombstones)); err != nil {
			if ctx.Err() != nil {
				return
			}
			cfg.Log.Warn("keys that are over could not be dropped; they are dropped later", "err", err)
			return
		}
	}
}

// replayCounts collects how often answers were replayed, so that a replay costs
// no commit of its own. The counts of up to a second are lost in a crash.
type replayCounts struct {
	mu     sync.Mutex
	counts map[once.Key]int64
}

// maxCounted bounds the keys that are counted between two writes. More than
// that in a second are a storm of retries; the keys over it go uncounted.
const maxCounted = 10_000

func (c *replayCounts) add(k once.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[once.Key]int64{}
	}
	if _, counted := c.counts[k]; counted || len(c.counts) < maxCounted {
		c.counts[k]++
	}
}

func (c *replayCounts) take() map[once.Key]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = nil
	return counts
}
