// Package outbox is what leaves the house: events, written in the same commit
// as what they tell of.
//
// # What is promised
//
// An event is there if, and only if, what it tells of was committed.
//
// # What is not promised
//
// Nothing here sends anything; there is no relay yet. Events are read through
// the API.
package outbox

import "time"

// Event is something that happened to a resource.
type Event struct {
	ID      string    // "evt_…", ordered by time; also what consumers deduplicate by
	Tenant  string    // whose it is; never part of what is sent
	Type    string    // resource and what became of it: "transfer.posted"
	Subject string    // id of the resource
	At      time.Time // when it was decided, by the store's clock
	Data    []byte    // the resource as it was then, JSON
}
