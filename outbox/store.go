package outbox

import (
	"context"
	"errors"
	"time"
)

// Store has the events, and how far each sink has come. contract.TestOutbox holds every
// implementation to this. Its methods are safe for concurrent use.
type Store interface {
	// EventsAfter returns up to limit events that follow a place, in the order of
	// commits: events of one subject are in the order in which they were decided. It
	// never returns an event while one at an earlier place may still be committed, so
	// whoever goes on from the last one that it returned misses none. more says
	// that there are others, or will be as soon as commits that are on their way have ended.
	EventsAfter(ctx context.Context, after Position, limit int) (events []Placed, more bool, err error)

	// TakeSink gives the cursor of a sink to a holder for some time, by the store's
	// clock; a holder that has it has it for that much longer. A sink that is new is at 0.
	// It fails with ErrHeld while another one has it.
	TakeSink(ctx context.Context, sink, holder string, lease time.Duration) (Cursor, error)

	// KeepSink writes how far a sink has come, durably, and leaves its cursor with the holder
	// for so long from now; 0 gives it back. It fails with ErrLost, and writes nothing,
	// if the cursor was taken by another one, or moved, since it was taken.
	KeepSink(ctx context.Context, c Cursor, lease time.Duration) error
}

// Cursor is how far a sink has come, in the hands of who relays to it.
type Cursor struct {
	Sink     string
	Position Position // the sink has acknowledged all up to here
	Fence    int64    // grows whenever it is taken or moved
}

var (
	// ErrHeld means that another holder has the cursor.
	ErrHeld = errors.New("outbox: another process relays to the sink")

	// ErrLost means that the cursor is not the holder's any more.
	ErrLost = errors.New("outbox: the sink's cursor was taken or moved")

	// ErrNoSink means that there is no sink of that name: none was ever relayed to.
	ErrNoSink = errors.New("outbox: there is no such sink")
)

// State is how a sink is doing, as the store sees it.
type State struct {
	Sink       string    `json:"sink"`
	Position   Position  `json:"position"`
	Lag        int64     `json:"lag"`                  // places behind the last event: as many events at most
	OldestAt   time.Time `json:"oldest_at,omitzero"`   // when the first event was decided that is not acknowledged; zero: none
	Holder     string    `json:"holder,omitempty"`     // the process that relays; "": none, or it is not known here
	LeaseUntil time.Time `json:"lease_until,omitzero"` // Holder's
}

// Books are for those who run a service: how sinks are doing, and from where they go on.
// contract.TestOutbox holds every implementation to this.
type Books interface {
	// Sinks returns all sinks that were ever relayed to, by name. It is cheap, however
	// much waits.
	Sinks(ctx context.Context) ([]State, error)

	// MoveSink has a sink go on after another place, back or forth. Whoever relays to it has
	// lost the cursor, and takes it anew. It fails with ErrNoSink.
	MoveSink(ctx context.Context, sink string, to Position) error

	// PlaceOf returns the place of the event with this id, and whether there is one.
	// It may read all events.
	PlaceOf(ctx context.Context, id string) (Position, bool, error)

	// PlaceAt returns a place that no event of a time or later is before or at: events that
	// follow it may be earlier, by as much as the clocks of processes are apart.
	PlaceAt(ctx context.Context, t time.Time) (Position, error)
}
