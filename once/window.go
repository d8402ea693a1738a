package once

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// Window is what the length of a deduplication window is computed from. A key
// must be remembered for as long as a retry of it can still arrive.
type Window struct {
	// RetryHorizon is how long the most patient client keeps retrying.
	//
	// Defaults to 12 hours.
	RetryHorizon time.Duration

	// Partition is the longest network partition or outage that a request can
	// sit out in somebody's queue.
	//
	// Defaults to 4 hours.
	Partition time.Duration

	// Skew is how far apart clocks may be.
	//
	// Defaults to 5 minutes.
	Skew time.Duration

	// Margin is for what was not thought of.
	//
	// Defaults to 1 hour.
	Margin time.Duration
}

// WithDefaults is w with its zero parts set.
func (w Window) WithDefaults() Window {
	return Window{
		RetryHorizon: cmp.Or(w.RetryHorizon, 12*time.Hour),
		Partition:    cmp.Or(w.Partition, 4*time.Hour),
		Skew:         cmp.Or(w.Skew, 5*time.Minute),
		Margin:       cmp.Or(w.Margin, time.Hour),
	}
}

// Min is the shortest window that is safe: the sum of the parts.
func (w Window) Min() time.Duration {
	return w.RetryHorizon + w.Partition + w.Skew + w.Margin
}

// ErrWindowTooShort means that a retry could arrive after its key was
// forgotten, and would be executed again.
var ErrWindowTooShort = errors.New("once: the window is shorter than what retries need")

// Check says whether a window of the given length is safe. Parts must not be
// negative.
func (w Window) Check(length time.Duration) error {
	if min(w.RetryHorizon, w.Partition, w.Skew, w.Margin) < 0 {
		return errors.New("once: no part of a window can be negative")
	}
	if length < w.Min() {
		return fmt.Errorf("%w: %v is less than retry horizon %v + partition %v + skew %v + margin %v = %v",
			ErrWindowTooShort, length, w.RetryHorizon, w.Partition, w.Skew, w.Margin, w.Min())
	}
	return nil
}

// earliest is the first time that a key may carry and be believed: nobody made
// keys of this kind before, so an earlier time is chance or a broken clock.
var earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// outdated says whether a key says of itself that it is older than the window:
// it may have been executed and forgotten, tombstone and all. Only UUIDv7 (RFC
// 9562) and declared ULIDs carry a time.
func (r Rules) outdated(key string, now time.Time) bool {
	end := r.ends(key)
	return !end.IsZero() && end.Before(now)
}

// ends is when the window of a key is over by the time that it carries, zero if
// it carries none that can be believed.
func (r Rules) ends(key string) time.Time {
	made, dated := id.UUIDTime(key)
	if !dated && r.ULID {
		made, dated = id.ULIDTime(key)
	}
	if !dated || made.Before(earliest) {
		return time.Time{}
	}
	return made.Add(r.Window)
}
