// Package once runs an operation once for each idempotency key, and gives its
// answer again to whoever asks again.
//
//	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
//	charge := once.Operation[Receipt]{Engine: eng, Name: "charge"}
//	receipt, err := charge.Do(ctx, "order-42", request, func(ctx context.Context, a *once.Attempt) (Receipt, error) { … })
//
// There are few types. A [Key] names an operation within a tenant. A [Request] is
// somebody asking for it. A [Record] is what is known about the key. [Decide] looks
// at a record and a request and says what to do; the methods of Record make the
// next record. That is the protocol, and it is pure: no clock, no store, no
// goroutine; the table in its test is its specification. A [Store] keeps records
// and decides nothing. An [Engine] drives: it claims, waits, renews leases, and
// gives each [Attempt] its number. An [Operation] is a function with a key; package
// httponce is an engine's face for net/http.
//
// # What is promised
//
// A key has at most one answer. While its window lasts, every request with that
// key and that fingerprint gets it, on any machine that shares the store; after the
// window the key is refused and never runs again while its tombstone lives. The
// number of an attempt only grows and fences: whoever holds an older one can
// complete nothing. That nobody knows what became of an attempt is a state of its
// own, and what happens then is the operation's [Policy], never a silent second run.
//
// # What is not promised
//
// What a function does outside of the store is not undone when its process dies in
// the middle, and cannot be known by this package: give it a key of its own
// ([Attempt.Derive]), or let it refuse an older [Attempt.Token]. A store that loses
// what it acknowledged loses keys: each says in its own doc what it can lose.
package once

import (
	"errors"
	"fmt"
	"time"
)

// Key names an operation: an id that the client chose, within its tenant. Two
// tenants may use the same id and never meet.
type Key struct {
	Tenant string // from the credential, never from the request
	ID     string // 1 to 255 visible ASCII characters, see [CheckID]
}

// MaxKeyLen is how long a key's id may be. The IETF draft (draft-ietf-httpapi-idempotency-key-header-07)
// sets none; a store and its indexes need one.
const MaxKeyLen = 255

// ErrMalformedKey means that an id is empty, too long, or has a character other
// than visible ASCII (0x21 to 0x7e).
var ErrMalformedKey = errors.New("once: a key is 1 to 255 visible ASCII characters")

// CheckID says whether id can be a key's id.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > MaxKeyLen {
		return fmt.Errorf("%w: it has %d", ErrMalformedKey, len(id))
	}
	for i := range len(id) {
		if c := id[i]; c < 0x21 || c > 0x7e {
			return fmt.Errorf("%w: character %d is 0x%02x", ErrMalformedKey, i+1, c)
		}
	}
	return nil
}

// State is what became of a key.
type State uint8

// The states of a key. docs/states.md draws how they follow each other.
const (
	Absent    State = iota // never seen, or forgotten with its tombstone
	Claimed                // an attempt holds it, until its lease is over
	Done                   // answered; the answer is kept until the window is over
	Released               // refused before anything began: free for the next request
	Unknown                // an attempt began and vanished: its effect may or may not be
	Tombstone              // the window is over; the answer is gone, the key stays refused
)

func (s State) String() string {
	names := [...]string{"absent", "claimed", "done", "released", "unknown", "tombstone"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state(%d)", s)
}

// Answer is a final answer as it was first given: replayed byte for byte.
type Answer struct {
	Status  int     // an HTTP status, 200 to 599
	Header  []Field // in the order in which they were written
	Body    []byte  // never changed once it is here: records share it
	Dropped bool    // there was a body, larger than what is kept: it is not here
	Seal    string  // id of the [Secret] that Header and Body are encrypted with, both in Body; "" if they are not
}

// Field is one header line of an Answer. As JSON it is what it was, also where its value
// is no UTF-8, which header lines need not be.
type Field struct{ Name, Value string }

// Record is what is known about a key. The zero Record is an absent key.
type Record struct {
	Key         Key
	State       State
	Fingerprint Fingerprint // of the request that claimed it
	Operation   string      // what it was first used for, e.g. "POST /v1/transfers"
	Resource    string      // id of what the operation made or touched, or ""
	Attempt     int64       // the fencing token: 1 for the first attempt, only grows
	Owner       string      // who claimed it last: a name by which a claim is told from another's of the same number
	LeaseUntil  time.Time   // Claimed: when the attempt is to be taken for vanished
	CreatedAt   time.Time   // when the key was first seen, by the store's clock
	ExpiresAt   time.Time   // when its window is over
	ForgetAt    time.Time   // when nothing need be known of it any more; zero: that is not the record's to say
	Progress    []byte      // Claimed, Unknown: the recovery points that were reached, see [Step]
	Note        string      // why nobody knows what became of it, or who settled that and on what evidence
	Answer      Answer      // Done: what was answered
	Replays     int64       // how often the answer was given again; may lag, see engine
	Version     int64       // 1 when written first; grows by one with every commit that changes it, but for Replays
}

// Request is somebody asking for the operation that a key names.
type Request struct {
	Key         Key
	Fingerprint Fingerprint
	Operation   string
}
