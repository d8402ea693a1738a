package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// A pace hands out the numbers of requests and says when each is due. In an
// open loop that is start + number/rate, whatever the server does: a worker
// that takes a number late sends it late, and its latency counts from when it
// was due. Safe for concurrent use.
type pace struct {
	first, last uint64        // numbers from first up to, not including, last
	every       time.Duration // between two requests; 0 in a closed loop
	start, end  time.Time
	taken       atomic.Uint64
}

func newPace(cfg Config, first uint64, start time.Time) *pace {
	p := &pace{first: first, last: first + MaxRequests, start: start, end: start.Add(cfg.Duration)}
	if cfg.Requests > 0 {
		p.last = first + uint64(cfg.Requests)
	}
	if cfg.Rate > 0 {
		p.every = time.Duration(float64(time.Second) / cfg.Rate)
	}
	return p
}

// take waits for the next request to be due. It returns false when there is
// none left, when the time is over, and when ctx ends.
func (p *pace) take(ctx context.Context) (n uint64, due time.Time, ok bool) {
	now := time.Now()
	if ctx.Err() != nil || !now.Before(p.end) {
		return 0, now, false
	}
	n = p.first + p.taken.Add(1) - 1
	if n >= p.last {
		return 0, now, false
	}
	if p.every == 0 {
		return n, now, true
	}
	due = p.start.Add(time.Duration(n-p.first) * p.every)
	if !due.Before(p.end) {
		return 0, due, false
	}
	return n, due, sleep(ctx, due.Sub(now)) == nil
}

// missed returns how many requests became due while no connection was free to
// send them before the end.
func (p *pace) missed(sent uint64) uint64 {
	if p.every == 0 {
		return 0
	}
	due := min(uint64((p.end.Sub(p.start)-1)/p.every)+1, p.last-p.first)
	return due - min(sent, due)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
