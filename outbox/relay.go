package outbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a relay is made of. Name, Store and Sink are needed.
type Config struct {
	Name  string // of the sink: its cursor is kept under it
	Store Store
	Sink  Sink

	// Source is the first part of the source of envelopes.
	//
	// Defaults to DefaultSource.
	Source string

	// Holder names this run of this process. No two may have the same.
	//
	// Defaults to a random one.
	Holder string

	// Poll is how long after it has found nothing the relay looks again, unless it is woken:
	// what other processes commit wakes nobody here.
	//
	// Defaults to 20 ms.
	Poll time.Duration

	// Lease is how long a process that is gone keeps others from its sinks.
	//
	// Defaults to 10 seconds.
	Lease time.Duration

	Limits

	// Log is told what somebody should look into.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Source = cmp.Or(c.Source, DefaultSource)
	c.Poll = cmp.Or(c.Poll, 20*time.Millisecond)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.Limits = c.Limits.withDefaults()
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Holder == "" {
		c.Holder = rand.Text()
	}
	return c
}

const (
	// readBatch is how many events are read at once: enough for a read to cost little
	// beside what is done with them, few enough to be little memory.
	readBatch = 1024

	// gather is how long a relay that has caught up lets events come together. It is not
	// asked to read for each commit, and delivers that much later.
	gather = 5 * time.Millisecond

	// hearMore is how long answers come together: to be woken for each would cost more than
	// what is done about it.
	hearMore = 500 * time.Microsecond

	// settle is how soon it looks again for commits that are on their way.
	settle = 2 * time.Millisecond

	// keepEvery is how often the cursor is written while it moves: a commit of its own. So
	// much is published again after a crash.
	keepEvery = time.Second

	// keepFirst is how soon it is written for the first time: processes that die a moment after
	// they have started get on all the same, however often that happens.
	keepFirst = 100 * time.Millisecond
)

// Relay carries the events of a store to one sink. Make one with [New]; Run does the
// work. Its methods are safe for concurrent use.
type Relay struct {
	cfg  Config
	wake chan struct{}

	mu    sync.Mutex
	heard []answer // what the sink said, not looked at yet
	ears  chan struct{}

	meter struct{ published, acknowledged, failed, inFlight, holding atomic.Int64 }
}

// answer is what became of a try.
type answer struct {
	to  *Step // of the tenure that made it
	of  *Flight
	try int
	err error
}

// New makes a relay.
func New(cfg Config) *Relay {
	return &Relay{cfg: cfg.withDefaults(), wake: make(chan struct{}, 1), ears: make(chan struct{}, 1)}
}

// Wake says that there may be new events. It does not wait.
func (r *Relay) Wake() { poke(r.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // somebody has
	}
}

// Stats are what a relay of this process has done.
type Stats struct {
	Published, Acknowledged, Failed int64 // tries
	InFlight                        int64
	Holding                         bool // this process relays to the sink
}

// Stats returns what the relay has done.
func (r *Relay) Stats() Stats {
	m := &r.meter
	return Stats{
		Published: m.published.Load(), Acknowledged: m.acknowledged.Load(), Failed: m.failed.Load(),
		InFlight: m.inFlight.Load(), Holding: m.holding.Load() != 0,
	}
}

// Run relays until ctx ends, whenever the cursor can be had. Then it writes how far it has
// come, and gives the cursor back.
func (r *Relay) Run(ctx context.Context) {
	for ctx.Err() == nil {
		taken := time.Now()
		c, err := r.take(ctx)
		switch {
		case err == nil:
			r.meter.holding.Store(1)
			r.serve(ctx, &tenure{cursor: c, until: taken.Add(r.cfg.Lease)})
			r.meter.holding.Store(0)
			r.meter.inFlight.Store(0)
			continue
		case !errors.Is(err, ErrHeld) && ctx.Err() == nil:
			r.cfg.Log.Warn("events are not relayed: the sink's cursor could not be read; it is tried again", "sink", r.cfg.Name, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.cfg.Lease / 4): // so much longer may a sink whose process is gone be alone
		}
	}
}

func (r *Relay) take(ctx context.Context) (Cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/2)
	defer cancel()
	return r.cfg.Store.TakeSink(ctx, r.cfg.Name, r.cfg.Holder, r.cfg.Lease)
}

// tenure is the time in which a relay has the cursor.
type tenure struct {
	cursor Cursor
	step   *Step
	until  time.Time // by this process's clock, counted from before the store was asked
	kept   time.Time // when the cursor was written last
	look   time.Time // when to read again
	woken  bool      // while it was being read: there may be more
	down   bool      // the sink fails, and that was said

	reading bool
	batches chan batch
}

// serve relays while the cursor is this process's.
func (r *Relay) serve(ctx context.Context, t *tenure) {
	t.step, t.batches = NewStep(t.cursor.Position, r.cfg.Limits), make(chan batch, 1)
	t.kept = time.Now().Add(keepFirst - keepEvery)
	defer t.settle()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for {
		now := time.Now()
		r.listen(t, now)
		t.step.Expire(now)
		if ctx.Err() != nil {
			r.giveBack(t)
			return
		}
		if err := r.keep(ctx, t, now); err != nil {
			r.cfg.Log.Warn("the relay has lost its sink's cursor, and takes it anew", "sink", r.cfg.Name, "err", err)
			return
		}
		r.read(ctx, t, now)
		r.publish(ctx, t)
		r.meter.inFlight.Store(int64(t.step.InFlight()))
		r.rest(ctx, t)
	}
}

// settle waits for a read that is on its way: the store may be closed afterwards.
func (t *tenure) settle() {
	if t.reading {
		<-t.batches
	}
}

// listen takes what the sink has said.
func (r *Relay) listen(t *tenure, now time.Time) {
	for _, a := range r.takeAnswers() {
		if a.to != t.step { // that one published it for nobody any more
			continue
		}
		if a.err == nil {
			r.meter.acknowledged.Add(1)
			t.step.Acknowledged(a.of)
			if t.down {
				t.down = false
				r.cfg.Log.Info("the sink takes events again", "sink", r.cfg.Name)
			}
			continue
		}
		r.meter.failed.Add(1)
		t.step.Failed(a.of, a.try, now)
		if !t.down {
			t.down = true
			r.cfg.Log.Warn("the sink does not take an event; it is published again until it does", "sink", r.cfg.Name, "event", a.of.ID, "err", a.err)
		}
	}
}

func (r *Relay) takeAnswers() (all []answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, r.heard = r.heard, nil
	return all
}

func (r *Relay) hear(a answer) {
	r.mu.Lock()
	r.heard = append(r.heard, a)
	r.mu.Unlock()
	poke(r.ears)
}

// keep writes the cursor now and then, and holds on to it. An error means that it is not
// ours any more, or that nobody knows.
func (r *Relay) keep(ctx context.Context, t *tenure, now time.Time) error {
	if !now.Before(t.until) { // another one may have it
		return ErrLost
	}
	if now.Before(r.keepAt(t)) {
		return nil
	}
	err := r.write(ctx, t, r.cfg.Lease)
	if errors.Is(err, ErrLost) {
		return err
	}
	if err != nil { // the store is away: there is time until the lease is over
		r.cfg.Log.Warn("how far the sink has come could not be written down; it is tried again", "sink", r.cfg.Name, "err", err)
	}
	return nil
}

// keepAt is when the cursor is to be written.
func (r *Relay) keepAt(t *tenure) time.Time {
	if t.step.Position() != t.cursor.Position {
		return t.kept.Add(min(keepEvery, r.cfg.Lease/3))
	}
	return t.kept.Add(r.cfg.Lease / 3)
}

// write writes the cursor.
func (r *Relay) write(ctx context.Context, t *tenure, lease time.Duration) error {
	began, c := time.Now(), t.cursor
	c.Position = t.step.Position()
	t.kept = began
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/4)
	defer cancel()
	if err := r.cfg.Store.KeepSink(ctx, c, lease); err != nil {
		return err
	}
	t.cursor, t.until = c, began.Add(lease)
	return nil
}

// giveBack writes how far the sink has come, for whoever goes on.
func (r *Relay) giveBack(t *tenure) {
	if err := r.write(context.Background(), t, 0); err != nil && !errors.Is(err, ErrLost) {
		r.cfg.Log.Warn("how far the sink has come could not be written down; some events will be published again", "sink", r.cfg.Name, "err", err)
	}
}

// batch is what was read beside the rest: the sink is published to meanwhile.
type batch struct {
	events []Placed
	more   bool
	err    error
}

// read begins to read on, if it is time and there is room. There is room for what comes
// also then: nothing else takes it.
func (r *Relay) read(ctx context.Context, t *tenure, now time.Time) {
	if t.reading || now.Before(t.look) || !r.roomy(t) {
		return
	}
	t.reading = true
	after, limit := t.step.ReadTo(), min(readBatch, t.step.Room())
	go func() {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/4)
		defer cancel()
		var b batch
		b.events, b.more, b.err = r.cfg.Store.EventsAfter(ctx, after, limit)
		t.batches <- b
	}()
}

// roomy says whether there is room for as many events as are worth a read.
func (r *Relay) roomy(t *tenure) bool { return t.step.Room() >= min(readBatch, r.cfg.Window/4) }

// takeUp takes up what was read.
func (r *Relay) takeUp(ctx context.Context, t *tenure, b batch) {
	t.reading = false
	switch now := time.Now(); {
	case b.err != nil:
		t.look = now.Add(time.Second)
		if ctx.Err() == nil {
			r.cfg.Log.Warn("events could not be read; they are read again", "sink", r.cfg.Name, "err", b.err)
		}
	case t.woken || b.more && len(b.events) > 0:
		t.look = time.Time{}
	case b.more:
		t.look = now.Add(settle)
	default:
		t.look = now.Add(max(r.cfg.Poll, gather))
	}
	t.woken = false
	t.step.Read(b.events)
}

// publish sends what may be sent.
func (r *Relay) publish(ctx context.Context, t *tenure) {
	flights := t.step.Next(time.Now())
	if len(flights) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/4)
	defer cancel()
	for _, f := range flights {
		step, try := t.step, f.try
		m := Message{Placed: f.Placed, Envelope: AppendEnvelope(make([]byte, 0, len(f.Data)+envelopeRoom), r.cfg.Source, f.Event)}
		r.meter.published.Add(1)
		r.cfg.Sink.Publish(ctx, m, func(err error) { r.hear(answer{step, f, try, err}) })
	}
}

// envelopeRoom is what an envelope usually takes beside its data.
const envelopeRoom = 384

// rest waits until there is something to do.
func (r *Relay) rest(ctx context.Context, t *tenure) {
	until := r.keepAt(t)
	if t.until.Before(until) {
		until = t.until
	}
	if at := t.step.Wait(); !at.IsZero() && at.Before(until) {
		until = at
	}
	if !t.reading && r.roomy(t) && t.look.Before(until) {
		until = t.look
	}
	wait := time.Until(until)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.ears:
		time.Sleep(hearMore)
	case b := <-t.batches:
		r.takeUp(ctx, t, b)
	case <-timer.C:
	case <-r.wake:
		t.woken = t.reading
		if soon := time.Now().Add(gather); soon.Before(t.look) {
			t.look = soon
		}
	}
}
