package pgrows

import (
	"context"
	"math/rand/v2"
	"time"
)

// LockNotAvailable is the SQLSTATE of who may not wait for a lock, or not for longer.
const LockNotAvailable = "55P03"

// Undone says of an SQLSTATE that the database undid everything because of what others
// did at the same time (a serialization failure, a deadlock): the same, tried again, may
// succeed.
func Undone(state string) bool { return state == "40001" || state == "40P01" }

// Tries is how often the same is tried where others are in its way, or where it is not
// known what came of it: each was undone as a whole.
const Tries = 8

// Pause is a little longer at random with every try, so that those who met do not meet
// again.
func Pause(ctx context.Context, try int) {
	t := time.NewTimer(rand.N(time.Millisecond << try))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Piece is how many rows a Sweep deletes at once, of a kind: some ten milliseconds.
const Piece = 2_000

// Overdue is for how long what is over waits to go with its whole table.
const Overdue = 24 * time.Hour
