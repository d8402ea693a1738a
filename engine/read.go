package engine

import (
	"errors"
	"time"
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
