package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A worker is one connection and the goroutine that uses it.
type worker struct {
	*run
	wire *wire
	desk *desk
}

// loop sends what the pace hands out until it ends.
func (w *worker) loop(ctx context.Context, p *pace) error {
	for {
		n, due, ok := p.take(ctx)
		if !ok {
			return nil
		}
		if err := w.request(ctx, n, due); err != nil {
			return err
		}
	}
}

// request sends request n once and books what came back.
func (w *worker) request(ctx context.Context, n uint64, due time.Time) error {
	c := w.plan.class(n)
	var repeated outcome
	var req []byte
	switch c {
	case batch:
		req = w.desk.batch(n)
	case duplicate:
		repeated = w.outcomes.pick(scramble(w.plan.seed ^ n))
		req = w.desk.transfer(repeated.index)
	default:
		req = w.desk.transfer(n * w.plan.stride)
	}
	sent := time.Now()
	ans, err := w.wire.exchange(req)
	took := time.Since(due)
	acked, stop := w.book(c, n, repeated, ans, err)
	if ctx.Err() != nil {
		return nil // the connection was closed under this request: no figure
	}
	w.tally.observe(c, sent.Sub(due), took, acked, ans.status, err)
	if errors.Is(err, errNotSent) {
		_ = sleep(ctx, 50*time.Millisecond) // a server that is gone is asked again, not hammered
	}
	return stop
}

// book takes in what came back and returns how many transfers it acknowledged.
func (w *worker) book(c class, n uint64, repeated outcome, ans answer, err error) (acked int, stop error) {
	switch c {
	case raw: // means nothing to us
		return 0, nil
	case duplicate:
		w.compare(repeated, ans, err)
		return 0, nil
	case batch:
		return w.bookBatch(n*w.plan.stride, ans, err)
	default:
		return w.bookOne(n*w.plan.stride, verdictOf(ans, err), ans.body)
	}
}

func (w *worker) bookOne(index uint64, v verdict, body []byte) (acked int, stop error) {
	switch v {
	case acknowledged:
		w.outcomes.acknowledge(index, body)
		return 1, nil
	case unknown:
		return 0, w.outcomes.doubt(index)
	default:
		return 0, nil
	}
}

// bookBatch takes in one result for each item, or the same doubt for all.
func (w *worker) bookBatch(first uint64, ans answer, err error) (acked int, stop error) {
	var all struct {
		Results []struct {
			Status int            `json:"status"`
			Body   jsontext.Value `json:"body"`
		} `json:"results"`
	}
	v := verdictOf(ans, err)
	told := err == nil && ans.status == http.StatusOK &&
		json.Unmarshal(ans.body, &all) == nil && uint64(len(all.Results)) == w.plan.stride
	for item := range w.plan.stride {
		var body []byte
		if told {
			this := all.Results[item]
			v, body = verdictOf(answer{status: this.Status, body: this.Body}, nil), this.Body
		}
		n, err := w.bookOne(first+item, v, body)
		acked, stop = acked+n, errors.Join(stop, err)
	}
	return acked, stop
}

// compare holds the answer to a repeat against the first. To be too busy for it
// is no fault, and is counted like any other status.
func (w *worker) compare(first outcome, ans answer, err error) {
	if err != nil || ans.status == http.StatusTooManyRequests || ans.status >= 500 {
		return
	}
	if wrong := w.replayFault(first, ans); wrong != "" {
		w.faults.add("key %s: %s", w.plan.appendKey(nil, first.index), wrong)
	}
}

// replayFault says what keeps ans from being the replay of first.
func (r *run) replayFault(first outcome, ans answer) string {
	switch {
	case ans.status != http.StatusCreated:
		return fmt.Sprintf("was answered 201, and its repeat %d: %.200s", ans.status, ans.body)
	case !ans.replayed:
		return "its repeat has no Idempotency-Replayed: true"
	case r.outcomes.digest(first.index, ans.body) != first.digest:
		return fmt.Sprintf("its repeat has other bytes than the first answer: %.200s", ans.body)
	default:
		return ""
	}
}

// A verdict is what an answer, or none, means for the transfer. Silence is the
// zero value: money may have moved.
type verdict int

const (
	unknown verdict = iota
	acknowledged
	refused
)

// verdictOf reads the contract: 503 and the 4xx say that nothing moved, other
// 5xx say nothing.
func verdictOf(ans answer, err error) verdict {
	switch {
	case errors.Is(err, errNotSent):
		return refused
	case err != nil, ans.status == http.StatusRequestTimeout, inProgress(ans):
		return unknown
	case ans.status == http.StatusCreated:
		return acknowledged
	case ans.status == http.StatusServiceUnavailable, ans.status >= 400 && ans.status < 500:
		return refused
	default:
		return unknown
	}
}

func inProgress(ans answer) bool {
	return ans.status == http.StatusConflict && bytes.Contains(ans.body, []byte(`"in_progress"`))
}

// tries is how often the set-up and the audit send one request, with pauses
// that add up to about six seconds.
const tries = 8

// insist repeats req, which must be safe to repeat, until it has an answer that
// will not change. What it returns after the last try may still be no such answer.
func (w *worker) insist(ctx context.Context, req []byte) (ans answer, err error) {
	for try := range tries {
		ans, err = w.wire.exchange(req)
		final := err == nil && !inProgress(ans) && ans.status != http.StatusTooManyRequests && ans.status < 500
		if final || try == tries-1 || sleep(ctx, 50*time.Millisecond<<try) != nil {
			break
		}
	}
	return ans, err
}
