package once_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
)

func TestAWindowIsLongEnoughOrRefused(t *testing.T) {
	usual := once.Window{RetryHorizon: 12 * time.Hour, Partition: 4 * time.Hour, Skew: 5 * time.Minute, Margin: time.Hour}
	for _, row := range []struct {
		sentence string
		parts    once.Window
		length   time.Duration
		short    bool
	}{
		{"24 hours are more than the default parts need", once.Window{}.WithDefaults(), 24 * time.Hour, false},
		{"the exact sum of the parts is enough", usual, 17*time.Hour + 5*time.Minute, false},
		{"a nanosecond less is too short", usual, 17*time.Hour + 5*time.Minute - 1, true},
		{"a longer retry horizon needs a longer window", once.Window{RetryHorizon: 72 * time.Hour}.WithDefaults(), 24 * time.Hour, true},
		{"a longer partition needs a longer window", once.Window{Partition: 12 * time.Hour}.WithDefaults(), 24 * time.Hour, true},
		{"more skew needs a longer window", once.Window{Skew: 8 * time.Hour}.WithDefaults(), 24 * time.Hour, true},
		{"more margin needs a longer window", once.Window{Margin: 8 * time.Hour}.WithDefaults(), 24 * time.Hour, true},
		{"no window at all is too short for any part", once.Window{Margin: 1}, 0, true},
		{"parts of nothing need nothing", once.Window{}, 0, false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			err := row.parts.Check(row.length)
			if errors.Is(err, once.ErrWindowTooShort) != row.short || (err != nil) != row.short {
				t.Errorf("got %v, want too short: %v", err, row.short)
			}
		})
	}
}

func TestAWindowHasNoNegativePart(t *testing.T) {
	for _, w := range []once.Window{{RetryHorizon: -1}, {Partition: -1}, {Skew: -1}, {Margin: -1}} {
		if err := w.Check(24 * time.Hour); err == nil || errors.Is(err, once.ErrWindowTooShort) {
			t.Errorf("%+v: got %v, want another error", w, err)
		}
	}
}

// Whoever set a window reads this error: it must show the calculation.
func TestTheErrorShowsTheCalculation(t *testing.T) {
	err := once.Window{}.WithDefaults().Check(time.Hour)
	for _, part := range []string{"1h0m0s", "12h0m0s", "4h0m0s", "5m0s", "17h5m0s"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
}

func TestDefaultsAreForZeroPartsOnly(t *testing.T) {
	w := once.Window{RetryHorizon: 1, Partition: 2, Skew: 3, Margin: 4}
	if got := w.WithDefaults(); got != w {
		t.Errorf("got %+v, want %+v", got, w)
	}
	if got := (once.Window{}).WithDefaults().Min(); got != 17*time.Hour+5*time.Minute {
		t.Errorf("the default parts need %v, want 17h5m", got)
	}
}
