package outbox

import "time"

// Limits bound a [Step]. The zero value works.
type Limits struct {
	// Window is how many events are read and not passed by the cursor yet, at most: the
	// first of them may take long, and the others be acknowledged. With Bytes it is all
	// that a relay has in memory.
	//
	// Defaults to 8,192: where each subject has three in a row a third of them are on their
	// way, and at an acknowledgement in 20 ms these are 130,000 a second.
	Window int

	// Bytes is how much data they have. It is passed by what is read at once, at most.
	//
	// Defaults to 8 MiB.
	Bytes int

	// AckTimeout is how long an acknowledgement is waited for. Then nobody knows, and the
	// event is published again.
	//
	// Defaults to 10 seconds.
	AckTimeout time.Duration

	// MinBackoff and MaxBackoff are how long nothing is published after the first failure, and
	// at most: the pause doubles as long as nothing is acknowledged.
	//
	// They default to 100 ms, and to 15 seconds: that late a sink that is back is noticed.
	MinBackoff, MaxBackoff time.Duration
}

func (l Limits) withDefaults() Limits {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.Window == 0 {
		l.Window = 8192
	}
	if l.Bytes == 0 {
		l.Bytes = 8 << 20
	}
	or(&l.AckTimeout, 10*time.Second)
	or(&l.MinBackoff, 100*time.Millisecond)
	or(&l.MaxBackoff, 15*time.Second)
	return l
}

// Step is the relay of one sink, without goroutines, clock and I/O: it is told what was
// read, sent, acknowledged and failed, and says what may be sent now and how far the
// sink has come. Make one with [NewStep]. It is for one goroutine.
//
// Of a subject one event is on its way at most: what comes after it waits for its
// acknowledgement. While the sink fails only one event is on its way at all.
type Step struct {
	limits Limits

	window   []*Flight           // read and not passed, in the order of commits
	last     map[subject]*Flight // of each subject in the window that has one not acknowledged
	ready    []*Flight           // may be sent, the first first
	flying   []flown             // sent, in the order in which they time out
	acked    Position            // the cursor
	read     Position
	bytes    int
	sent     int // not acknowledged, not failed
	failures int // since something was acknowledged
	paused   time.Time
}

// Flight is an event in the window.
type Flight struct {
	Placed
	state flightState
	try   int
	next  *Flight // of the same subject, and waits for this one
}

type flightState uint8

const (
	waiting      flightState = iota // for an earlier one of its subject
	ready                           // to be sent
	sent                            // and not heard of
	acknowledged                    // but the cursor may wait for earlier ones
)

// flown is a try, and when it was made.
type flown struct {
	*Flight
	try int
	at  time.Time
}

// subject is what has an order.
type subject struct{ tenant, id string }

// NewStep makes the relay of a sink that has come so far.
func NewStep(from Position, l Limits) *Step {
	return &Step{limits: l.withDefaults(), acked: from, read: from, last: map[subject]*Flight{}}
}

// Position is how far the sink has acknowledged everything.
func (s *Step) Position() Position { return s.acked }

// ReadTo is the place after which to read on.
func (s *Step) ReadTo() Position { return s.read }

// Room is how many events there is room for.
func (s *Step) Room() int {
	if s.bytes >= s.limits.Bytes {
		return 0
	}
	return s.limits.Window - len(s.window)
}

// InFlight is how many events are sent and not heard of.
func (s *Step) InFlight() int { return s.sent }

// Read takes up events that follow the last ones.
func (s *Step) Read(events []Placed) {
	for _, e := range events {
		f := &Flight{Placed: e}
		s.read, s.bytes = e.Position, s.bytes+len(e.Data)
		s.window = append(s.window, f)
		key := subject{e.Tenant, e.Subject}
		if before := s.last[key]; before != nil {
			before.next = f
		} else {
			s.prepare(f)
		}
		s.last[key] = f
	}
}

func (s *Step) prepare(f *Flight) {
	f.state = ready
	s.ready = append(s.ready, f)
}

// Next returns what is to be sent now, and takes it for sent.
func (s *Step) Next(now time.Time) (out []*Flight) {
	most := s.limits.Window
	if s.failures > 0 {
		most = 1
	}
	if now.Before(s.paused) {
		return nil
	}
	for len(s.ready) > 0 && s.sent < most {
		f := s.ready[0]
		s.ready[0], s.ready = nil, s.ready[1:]
		if f.state != ready { // it was heard of after it had been given up
			continue
		}
		f.state = sent
		f.try++
		s.sent++
		s.flying = append(s.flying, flown{f, f.try, now})
		out = append(out, f)
	}
	return out
}

// Acknowledged says that the sink has an event, whichever try of it that was.
func (s *Step) Acknowledged(f *Flight) {
	if f.state == acknowledged {
		return
	}
	if f.state == sent {
		s.sent--
	}
	f.state = acknowledged
	s.failures, s.paused = 0, time.Time{}
	key := subject{f.Tenant, f.Subject}
	if f.next != nil {
		s.prepare(f.next)
		f.next = nil
	} else if s.last[key] == f {
		delete(s.last, key)
	}
	s.advance()
}

// advance moves the cursor over what is acknowledged without a gap.
func (s *Step) advance() {
	for len(s.window) > 0 && s.window[0].state == acknowledged {
		f := s.window[0]
		s.acked, s.bytes = f.Position, s.bytes-len(f.Data)
		s.window[0], s.window = nil, s.window[1:]
	}
}

// Failed says that a try of an event failed, or that nobody knows: it will be sent
// again, after a pause.
func (s *Step) Failed(f *Flight, try int, now time.Time) {
	if f.state != sent || f.try != try {
		return
	}
	s.sent--
	s.prepare(f)
	if now.Before(s.paused) { // this one was sent before the failure that is waited for
		return
	}
	s.failures++
	s.paused = now.Add(s.backoff())
}

func (s *Step) backoff() time.Duration {
	d := s.limits.MinBackoff << min(s.failures-1, 20)
	return min(d, s.limits.MaxBackoff)
}

// Expire gives up what was not heard of in time.
func (s *Step) Expire(now time.Time) {
	for len(s.flying) > 0 {
		f := s.flying[0]
		over := f.state != sent || f.try != f.Flight.try
		if !over && now.Sub(f.at) < s.limits.AckTimeout {
			return
		}
		s.flying[0], s.flying = flown{}, s.flying[1:]
		if !over {
			s.Failed(f.Flight, f.try, now)
		}
	}
}

// Wait is until when nothing is to be done unless something is heard or read; zero: for ever.
func (s *Step) Wait() (until time.Time) {
	if len(s.flying) > 0 {
		until = s.flying[0].at.Add(s.limits.AckTimeout)
	}
	if len(s.ready) > 0 && !s.paused.IsZero() && (until.IsZero() || s.paused.Before(until)) {
		until = s.paused
	}
	return until
}
