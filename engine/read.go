package engine

import (
	"errors"
	"time"

	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Page asks for a part of a list, newest first.
type Page struct {
	Limit  int       // 1 to 100
	Cursor string    // List.Next of the page before, or "" for the first page
	After  time.Time // only what was made later than this; zero: no bound
	Before time.Time // only what was made earlier than this; zero: no bound
}

// List is a page of a list.
type List[T any] struct {
	Items []T
	Next  string // the cursor of the next page, "" if this is the last one
}

// ErrBadCursor means that a cursor was not made by this store for this list.
var ErrBadCursor = errors.New("engine: the cursor does not belong to this list")

// TransferFilter narrows a list of transfers. Empty members do not narrow.
type TransferFilter struct {
	Account   string // transfers from or to it
	Reference string
}

// EventFilter narrows a list of events. Empty members do not narrow.
type EventFilter struct {
	Subject string
	Type    string
}

// Match says whether the filter leaves an event.
func (f EventFilter) Match(e outbox.Event) bool {
	return (f.Subject == "" || f.Subject == e.Subject) && (f.Type == "" || f.Type == e.Type)
}

// PaymentFilter narrows a list of payments. Empty members do not narrow.
type PaymentFilter struct {
	Reference string
	Status    pay.Status
	InDoubt   *bool
}

// Doubts is how much is in doubt now, of every tenant.
type Doubts struct {
	Payments int // that are in doubt
	Reviews  int // payments that need a review
	Refunds  int // refunds that do
}

// MaxLines is how many lines of a payment's timeline are read at most: the first
// half and the last half of so many. What lies between them is one thing over
// and over: checks of a gateway that does not know.
const MaxLines = 1000

// NoticesKept is how long a gateway's webhook is remembered, so that it is seen
// once: far longer than the tolerance of its signature's time, and than gateways
// go on sending it.
const NoticesKept = 30 * 24 * time.Hour
