package once

import (
	"context"
	"log/slog"
	"time"
)

// Happening is what an [Event] tells of.
type Happening uint8

// What an engine tells of.
const (
	HasClaimed    Happening = iota + 1 // an attempt began
	HasCompleted                       // it ended with an answer
	HasReleased                        // it ended before anything began
	HasReplayed                        // an answer was given again
	HasWaited                          // a duplicate waited for the first; what it came to is told besides
	HasMismatched                      // the key was used for another request
	HasExpired                         // the key's window was over
	HasFenced                          // an attempt ended too late: a later one has the key
	HasDoubted                         // nobody knows what became of an attempt
	HasRecovered                       // an attempt took a key over whose attempt had vanished
	HasParked                          // a key was asked for that only a human can settle
	HasSettled                         // a human has settled a key
	HasFailed                          // the store did not do its part: Err says what
)

var happenings = [...]string{
	"", "claimed", "completed", "released", "replayed", "waited", "mismatched", "expired", "fenced", "unknown", "recovered",
	"parked", "settled", "store_failed",
}

func (h Happening) String() string { return happenings[h] }

// Event is what an engine has done, or was asked to do.
type Event struct {
	Happening Happening
	Key       Key // its ID may be a customer's: log it where order numbers are logged
	Operation string
	Attempt   int64
	Took      time.Duration // HasCompleted, HasReleased, HasDoubted: since the attempt began; HasWaited: so long
	Err       error         // HasFailed, HasDoubted, HasFenced
}

// ObserveAll returns a Config.Observe that tells several, in their order.
func ObserveAll(all ...func(context.Context, Event)) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		for _, observe := range all {
			observe(ctx, e)
		}
	}
}

// LogTo returns a Config.Observe that writes what somebody should look into: keys
// in doubt, parked, fenced and settled, and a store that fails. Everything else is
// written at the debug level. The key's ID is not written.
func LogTo(log *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelDebug
		switch e.Happening {
		case HasDoubted, HasParked, HasFenced, HasFailed:
			level = slog.LevelWarn
		case HasSettled, HasRecovered:
			level = slog.LevelInfo
		}
		if !log.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{
			slog.String("tenant", e.Key.Tenant), slog.String("operation", e.Operation), slog.Int64("attempt", e.Attempt),
		}
		if e.Took > 0 {
			attrs = append(attrs, slog.Duration("took", e.Took))
		}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("err", e.Err))
		}
		log.LogAttrs(ctx, level, "idempotency key "+e.Happening.String(), attrs...)
	}
}
