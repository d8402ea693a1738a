// Package outbox is what leaves the house: events, written in the same commit
// as what they tell of, and the relay that carries them to where others read them.
//
// There are few types. An [Event] is a row of a commit. A [Sink] is where events
// go: a broker, say. A [Store] has the events in the order of their commits, and
// a cursor for each sink. [Step] is the relay of one sink without its goroutines:
// what may be sent now, what is acknowledged, how far that is without a gap.
// [Relay] is the thin driver around it.
//
// # What is promised
//
// An event is there if, and only if, what it tells of was committed. Every event
// is published to every sink at least once, also after any crash, and the cursor of
// a sink never passes one that the sink has not acknowledged: none is skipped,
// whatever order transactions commit in. A repeat has the id and the bytes of the
// first. Of one subject an event is published when the sink has acknowledged the one
// before, so they arrive in their order. A sink that is slow, or away, holds up nobody
// but itself. What a relay has in memory is bounded, however much waits in the store. Of several
// processes that share a store one relays to a sink, and when it is gone another one does.
//
// # What is not promised
//
// That an event arrives once: who acts on events must remember their ids. A repeat may
// come after later events of its subject. Events of different subjects have no order. An event that a sink
// refuses for ever stops its cursor, for everybody to see: nothing is dropped.
package outbox

import "time"

// Event is something that happened to a resource.
type Event struct {
	ID      string    // "evt_…", ordered by time; also what consumers deduplicate by
	Tenant  string    // whose it is; sent as a part of the envelope's source
	Type    string    // resource and what became of it: "transfer.posted"; see Types
	Subject string    // id of the resource
	At      time.Time // when it was decided, by the store's clock
	Data    []byte    // the resource as it was then, JSON
}

// Position is a place in the order of commits: that of an event, or 0, before the first.
// Places need not be consecutive.
type Position int64

// Placed is an event and its place.
type Placed struct {
	Event
	Position Position
}
