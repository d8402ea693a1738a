package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"

	"github.com/oncepay/oncepay/pay"
)

// door is where sends leave. It is asked twice: closed before an intent is
// written down, and enter after it. Only the first says no.
type door struct {
	max    int64
	places bulkhead.Bulkhead[any]
	inside atomic.Int64 // sends that are on their way or wait to be

	rate  ratelimiter.RateLimiter[any] // nil: none
	clear atomic.Int64                 // when the last one in line may leave, in Unix nanoseconds

	breaker circuitbreaker.CircuitBreaker[any] // nil: off
	trials  trials
	log     *slog.Logger
	why     reasons
	failed  atomic.Pointer[string] // what came of the last send that had no usable answer

	broken, full, fast string // why nothing is taken
}

// maxLine is how long the line for the rate may be before no more are taken.
const maxLine = time.Second

func newDoor(cfg Config) *door {
	const again = "; nothing was begun, try again in some seconds"
	d := &door{
		max: int64(cfg.MaxSends), places: bulkhead.New[any](uint(cfg.MaxSends)),
		broken: "the gateway " + cfg.Name + " does not answer as it should just now" + again,
		full:   "the gateway " + cfg.Name + " has as many requests to answer as it may" + again,
		fast:   "more is asked of the gateway " + cfg.Name + " than it takes in a second" + again,
	}
	if cfg.Rate > 0 {
		d.rate = ratelimiter.NewSmooth[any](uint(cfg.Rate), time.Second)
	}
	b := cfg.Breaker
	if !b.Off {
		trials := uint(b.Trials)
		d.trials.each = b.Trials
		d.log, d.why = cfg.Log.With("gateway", cfg.Name), reasonsOf(b)
		d.breaker = circuitbreaker.NewBuilder[any]().
			WithFailureRateThreshold(b.Failures, uint(b.Sends), b.Period).
			WithSuccessThresholdRatio(trials/2+1, trials).
			WithDelay(b.Pause).
			OnStateChanged(d.changed).Build()
	}
	return d
}

// reasons are why the breaker changes, for the log.
type reasons struct{ opens, opensAgain, halfOpens, closes string }

func reasonsOf(b Breaker) reasons {
	most := b.Trials/2 + 1
	return reasons{
		opens:      fmt.Sprintf("%g%% or more of at least %d sends in %s had no usable answer", 100*b.Failures, b.Sends, b.Period),
		opensAgain: fmt.Sprintf("fewer than %d of %d trials had a usable answer", most, b.Trials),
		halfOpens:  fmt.Sprintf("it was open for %s or longer; %d sends a second show how the gateway is", b.Pause, b.Trials),
		closes:     fmt.Sprintf("%d of %d trials had a usable answer", most, b.Trials),
	}
}

// changed logs that the breaker has changed. The event's own numbers are not for
// that: once it is open, other sends go on counting in them.
func (d *door) changed(e circuitbreaker.StateChangedEvent) {
	switch {
	case e.NewState == circuitbreaker.ClosedState:
		d.log.Info("the circuit breaker of a gateway has closed", "why", d.why.closes)
	case e.NewState == circuitbreaker.HalfOpenState:
		d.log.Info("the circuit breaker of a gateway is half-open", "why", d.why.halfOpens)
	case e.OldState == circuitbreaker.HalfOpenState:
		d.log.Warn("the circuit breaker of a gateway has opened again", "why", d.why.opensAgain, "last_failure", *d.failed.Load())
	default:
		d.log.Warn("the circuit breaker of a gateway has opened: nothing new is taken", "why", d.why.opens, "last_failure", *d.failed.Load())
	}
}

// closed says why nothing new is taken, or "".
func (d *door) closed() string {
	now := time.Now()
	switch {
	case d.isBroken(now):
		return d.broken
	case d.inside.Load() >= d.max:
		return d.full
	case d.clear.Load()-now.UnixNano() > int64(maxLine):
		return d.fast
	default:
		return ""
	}
}

// isBroken says whether the breaker lets nothing through. A half-open one lets a
// few, so that it can learn. Those are counted as they leave, and not as they
// ask: most who ask send nothing.
func (d *door) isBroken(now time.Time) bool {
	if d.breaker == nil || d.breaker.IsClosed() {
		return false
	}
	if d.breaker.IsOpen() {
		if d.breaker.RemainingDelay() > 0 {
			return true
		}
		d.breaker.HalfOpen()
	}
	return d.trials.used(now)
}

// trials are the sends that leave while the breaker is half-open: so many in
// each second, and those that had asked before the last of them left.
type trials struct {
	each int

	mu    sync.Mutex
	since time.Time
	left  int
}

// used says whether there were enough in this second.
func (t *trials) used(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= time.Second {
		t.since, t.left = now, 0
	}
	return t.left >= t.each
}

func (t *trials) count() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left++
}

// enter waits for a place and for the rate, both together for at most so long.
// Leave ends it. It fails with errNoPlace, errRate or context.Canceled.
func (d *door) enter(ctx context.Context, most time.Duration) (leave func(), err error) {
	if d.breaker != nil && d.breaker.IsHalfOpen() {
		d.trials.count()
	}
	d.inside.Add(1)
	out := func() { d.inside.Add(-1) }
	began := time.Now()
	if err := d.places.AcquirePermitWithMaxWait(ctx, most); err != nil {
		out()
		return nil, orCanceled(err, errNoPlace)
	}
	leave = func() { d.places.ReleasePermit(); out() }
	if err := d.inLine(ctx, most-time.Since(began)); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// inLine waits until the rate lets one more out.
func (d *door) inLine(ctx context.Context, most time.Duration) error {
	if d.rate == nil {
		return nil
	}
	wait := d.rate.TryReservePermit(max(most, 0))
	if wait < 0 {
		return errRate
	}
	if wait == 0 {
		return nil
	}
	d.clear.Store(time.Now().Add(wait).UnixNano())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return orCanceled(ctx.Err(), errRate)
	}
}

// report tells the breaker what came of a send, unless that says nothing of the
// gateway: it was we who did not send it, or gave it up.
func (d *door) report(a Answer, f *pay.Finding) {
	switch {
	case d.breaker == nil, a.ours():
	case f.Outcome == pay.Unknown && f.Reach != pay.Refused:
		d.failed.Store(new(f.Detail))
		d.breaker.RecordFailure()
	default:
		d.breaker.RecordSuccess()
	}
}
