package demo

import (
	"reflect"
	"testing"
)

// The audit counts what is wrong with a payment, whichever way it is wrong.
func TestAPaymentIsJudgedByItsCharges(t *testing.T) {
	for _, row := range []struct {
		sentence string
		method   string
		charges  []int64
		want     Report
	}{
		{"charged once", "pm_ok", []int64{100}, Report{Charges: 1, MostCharges: 1}},
		{"charged twice", "pm_ok", []int64{100, 100}, Report{Charges: 2, MostCharges: 2, ChargedTwice: 1, Overcharged: 100}},
		{"charged and not told, once", "pm_timeout_after_charge", []int64{100}, Report{Charges: 1, MostCharges: 1, GatewaySilent: 1}},
		{"not charged", "pm_ok", nil, Report{NotCharged: 1, CentsMissing: 100}},
		{"charged too little", "pm_ok", []int64{99}, Report{Charges: 1, MostCharges: 1, CentsMissing: 1}},
		{"declined, and not charged", "pm_declined", nil, Report{}},
		{"declined, and charged", "pm_declined", []int64{100}, Report{Charges: 1, MostCharges: 1, WronglyCharged: 1, Overcharged: 100}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			var got Report
			got.addPayment(&order{amount: 100, method: row.method}, row.charges)
			if got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			if right := row.want.ChargedTwice+row.want.NotCharged+row.want.WronglyCharged == 0 && row.want.CentsMissing == 0; got.OK() != right {
				t.Errorf("it is in order: %v", got.OK())
			}
		})
	}
}

func TestATransferIsJudgedByHowOftenItWasMade(t *testing.T) {
	for times, want := range []Report{
		{NotMoved: 1, CentsMissing: 100}, {}, {MovedTwice: 1, CentsMissing: 100}, {MovedTwice: 1, CentsMissing: 200},
	} {
		var got Report
		if got.addTransfer(&order{amount: 100}, times); got != want || got.OK() != (times == 1) {
			t.Errorf("made %d times: got %+v, want %+v", times, got, want)
		}
	}
}

// A seed repeats the orders and what the network does to each try.
func TestASeedRepeatsARun(t *testing.T) {
	cfg := Config{Seed: 7, Payments: 500, Transfers: 500}
	if a, b := draw(cfg), draw(cfg); !reflect.DeepEqual(a, b) {
		t.Error("one seed draws different orders")
	}
	n, other := newNetwork(7), newNetwork(8)
	fates, differ := map[uint64]int{}, false
	for _, o := range draw(cfg) {
		m := message{order: o.id, try: 1}
		fates[n.fate(m)]++
		differ = differ || n.fate(m) != other.fate(m)
		if n.fate(m) != newNetwork(7).fate(m) {
			t.Fatalf("the fate of %s is not repeated", o.id)
		}
	}
	if !differ || len(fates) < 90 {
		t.Errorf("1,000 tries meet %d of 100 fates; another seed's differ: %v", len(fates), differ)
	}
}
