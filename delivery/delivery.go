// Package delivery takes events to the webhook endpoints of tenants.
//
// There are few types. An [Endpoint] is a URL that a tenant wants events sent to. A [Delivery]
// is one event on its way to one endpoint; it is made by [FanOut], which is a sink of package
// outbox. [Decide] says what comes of an attempt, and knows no clock. [Courier] is the driver
// that makes attempts. A [Store] has endpoints and deliveries; contract.TestDelivery holds
// every implementation to it.
//
// # What is promised
//
// Every event is delivered to every endpoint that was enabled when it was committed and wants its
// type, at least once, after any crash of ours: until the endpoint answers with 2xx, or ten
// attempts over some three days have failed. Then the delivery is dead, is kept for a month,
// and can be made again by hand. Each attempt carries the event's id as Webhook-Id, so that a
// receiver can tell that it had it before, and is signed with each secret that is valid. An
// endpoint that hangs or fails holds up no other one.
//
// # What is not promised
//
// That events come once, or in their order: the time in an envelope says what was when, and
// who acts on the newest state reads the resource. A replay of the sink makes deliveries that
// are not there any more, and none twice.
package delivery

import (
	"time"

	"github.com/oncepay/oncepay/outbox"
)

// Status is how a delivery stands.
type Status uint8

// A delivery is pending until it is delivered or dead.
const (
	Pending Status = iota + 1
	Delivered
	Dead // nobody tries again by himself
)

var statusNames = [...]string{Pending: "pending", Delivered: "delivered", Dead: "dead"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return ""
}

// ParseStatus reads what String writes.
func ParseStatus(name string) (Status, bool) {
	for s, n := range statusNames {
		if n == name && n != "" {
			return Status(s), true
		}
	}
	return 0, false
}

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	Endpoint  string
	Tenant    string
	Event     string // its id
	Type      string // the event's
	Subject   string // the event's
	Place     outbox.Position
	Status    Status
	Attempts  int       // made so far
	DueAt     time.Time // Pending: when the next attempt is made, or given up by who took it
	CreatedAt time.Time
	DoneAt    time.Time // Delivered, Dead: since when
}

// Attempt is one try to deliver.
type Attempt struct {
	Number int       // 1 is the first
	At     time.Time // when it began
	Took   time.Duration
	Status int    // HTTP status of the answer; 0: there was none
	Error  string // why there was none, for people
	Answer string // what the answer began with, MaxExcerpt bytes at most
}

// What is kept of deliveries, by number and time.
const (
	// MaxExcerpt is how much of an answer is kept, in bytes: an error message.
	MaxExcerpt = 1 << 10

	// MaxAttempts is how many attempts of a delivery are kept, the last ones: two rounds.
	MaxAttempts = 20

	// Retention is how long a delivery is kept that is done: as long as somebody may ask
	// where something went.
	Retention = 30 * 24 * time.Hour
)

// Work is a delivery that was taken, to be attempted by who took it.
type Work struct {
	Delivery
	Fence int64 // grows whenever the delivery is taken or changed
	URL   string

	Generation  int64         // of the endpoint's secret
	Former      bool          // the secret before it is valid as well
	Tries       int           // attempts made in this round, before this one
	FailingFor  time.Duration // since when nothing was taken by the endpoint
	OutboxEvent outbox.Event
}

// Done is what came of a piece of work.
type Done struct {
	Endpoint, Event string
	Fence           int64
	Attempt
	Next
}
