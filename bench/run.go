package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of what happens before and after the load; with Duration and
// RequestTimeout they bound a run.
const (
	setupLimit = 5 * time.Minute
	auditLimit = 5 * time.Minute
)

// ErrWrong means that the server broke its word: the report's audit says how.
// Repeating the run does not make it good.
var ErrWrong = errors.New("bench: what was answered is not what is stored")

// run is what the workers of one run share.
type run struct {
	cfg      Config
	plan     *plan
	tally    *tally
	outcomes *outcomes
	faults   *faults
	workers  []*worker
	progress *progress
}

// Run puts the load of cfg on its target and reports what came back. It writes
// where it stands to progress, which may be nil, while it runs.
//
// It returns an error that wraps [ErrWrong] if the server answered one thing and
// stored another, ctx's if that ended first, and others if the run could not
// begin or the audit not be finished. The report holds what was measured until then.
func Run(ctx context.Context, cfg Config, progress io.Writer) (Report, error) {
	if err := cfg.Check(); err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connections
	r, err := newRun(ctx, cfg.withDefaults(), progress)
	if err != nil {
		return Report{}, err
	}
	return r.phases(ctx)
}

func newRun(ctx context.Context, cfg Config, to io.Writer) (*run, error) {
	target, err := url.Parse(cfg.Target)
	if err != nil {
		return nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	p := newPlan(cfg, binary.BigEndian.Uint64(id[:]), time.Now())
	r := &run{cfg: cfg, plan: p, tally: newTally(), outcomes: newOutcomes(p), faults: &faults{}, progress: newProgress(to)}
	for range cfg.Connections {
		r.workers = append(r.workers, &worker{
			run: r, wire: newWire(ctx, target, cfg.RequestTimeout), desk: newDesk(p, target, cfg.APIKey)})
	}
	return r, nil
}

func (r *run) phases(ctx context.Context) (Report, error) {
	if err := r.setUp(ctx); err != nil {
		return Report{}, fmt.Errorf("bench: set up: %w", err)
	}
	report, err := r.load(ctx)
	if err == nil && r.cfg.Audit && r.cfg.Scenario != Raw {
		report.Audit, err = r.audit(ctx)
	}
	report.Faults, report.FaultExamples = r.faults.list()
	if report.Faults > 0 {
		err = errors.Join(fmt.Errorf("%w: %d faults, such as: %s", ErrWrong, report.Faults, report.FaultExamples[0]), err)
	}
	return report, err
}

// setUp opens the accounts and makes the transfers that early duplicates repeat.
func (r *run) setUp(ctx context.Context) error {
	if r.cfg.Scenario == Raw {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	r.progress.say("opening %d accounts", r.plan.accounts)
	err := r.each(ctx, r.plan.accounts, func(w *worker, n uint64) error {
		ans, err := w.insist(ctx, w.desk.account(n))
		return created("open an account", ans, err)
	})
	if err != nil {
		return err
	}
	return r.each(ctx, r.plan.primed, func(w *worker, n uint64) error {
		index := n * r.plan.stride
		ans, err := w.insist(ctx, w.desk.transfer(index))
		if err := created("make a transfer to repeat", ans, err); err != nil {
			return err
		}
		r.outcomes.acknowledge(index, ans.body)
		return nil
	})
}

func created(what string, ans answer, err error) error {
	if err == nil && ans.status != http.StatusCreated {
		err = fmt.Errorf("status %d: %.300s", ans.status, ans.body)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// load is the measured part.
func (r *run) load(ctx context.Context) (Report, error) {
	r.connect()
	stop := r.progress.watch(r.tally)
	start := time.Now()
	p := newPace(r.cfg, r.plan.primed, start)
	var err error
	var stormy *StormReport
	if r.cfg.Scenario == Storm {
		stormy, err = r.storm()
	} else {
		err = r.all(func(w *worker) error { return w.loop(ctx, p) })
	}
	elapsed := time.Since(start)
	stop()
	report := r.report(elapsed, p.missed(r.tally.sent))
	report.Storm = stormy
	return report, errors.Join(err, ctx.Err())
}

// connect dials before the clock starts; who cannot connect yet says so when
// the first request fails.
func (r *run) connect() {
	_ = r.all(func(w *worker) error { _ = w.wire.dial(); return nil })
}

// all runs do on every worker at once and returns the first error.
func (r *run) all(do func(*worker) error) (first error) {
	var running sync.WaitGroup
	var once sync.Once
	for _, w := range r.workers {
		running.Go(func() {
			if err := do(w); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	running.Wait()
	return first
}

// each runs do for 0 to n-1, spread over the workers, and stops at the first
// error.
func (r *run) each(ctx context.Context, n uint64, do func(w *worker, i uint64) error) error {
	var next atomic.Uint64
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return r.all(func(w *worker) error {
		for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
			if err := errors.Join(ctx.Err(), do(w, i)); err != nil {
				cancel()
				return err
			}
		}
		return nil
	})
}
