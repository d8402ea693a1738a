package processor

import (
	"context"
	"testing"

	"github.com/oncepay/oncepay/pay"
)

// Slots go to those who wait for one, as many as there are and no more; what comes
// while somebody waits does not overtake.
func TestSlotsGoToThoseWhoWait(t *testing.T) {
	d := newDesk("g", nil, 4)
	if !d.seize() {
		t.Fatal("nobody waits, and a free slot was not to be had")
	}
	d.wait(&d.asks, pay.Due{Operation: "a"}, pay.Due{Operation: "b"})
	if d.seize() {
		t.Error("a slot was taken past those who wait for one")
	}
	for _, row := range []struct{ most, want int }{{1, 1}, {10, 2}} {
		if got := d.reserve(context.Background(), row.most); got != row.want {
			t.Errorf("%d slots for 2 who wait, of at most %d", got, row.most)
		}
		d.free(row.want)
	}
	d.wait(&d.asks, pay.Due{Operation: "c"}, pay.Due{Operation: "d"})
	if got := d.reserve(context.Background(), 10); got != 3 {
		t.Errorf("%d slots of 3 that are free", got)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if got := d.reserve(ended, 10); got != 0 {
		t.Errorf("%d slots when none is free", got)
	}
	d.take(&d.asks, 10)
	if got := d.reserve(context.Background(), 10); got != 0 {
		t.Errorf("%d slots when nobody waits", got)
	}
}
