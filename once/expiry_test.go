package once_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

// Who is told until when an answer is kept is told what the record says, the first
// one too, however long it took.
func TestTheEndOfTheWindowIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, once.NewMemory(), once.Park)
		req := once.Request{Key: once.Key{Tenant: "default", ID: "order-42"}, Operation: "charge"}
		before := n.Engine.Expiry()
		turn, err := n.Engine.Begin(t.Context(), req, once.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		if at := turn.Attempt.ExpiresAt(); !at.Equal(before) {
			t.Errorf("at first its window ends at %v, want %v", at, before)
		}
		time.Sleep(time.Hour)
		if err := turn.Attempt.Complete(t.Context(), once.Answer{Status: 200}); err != nil {
			t.Fatal(err)
		}
		again, err := n.Engine.Begin(t.Context(), req, once.Terms{})
		if at := turn.Attempt.ExpiresAt(); err != nil || !at.Equal(again.Record.ExpiresAt) || at.Sub(before) != time.Hour {
			t.Errorf("the first is told %v, a repeat %v %v", at, again.Record.ExpiresAt, err)
		}
	})
}

// A key that says itself when its window was over is refused with that time.
func TestAnOutdatedKeySaysWhen(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Park)
	turn, err := n.Engine.Begin(t.Context(), once.Request{Key: once.Key{Tenant: "default", ID: "016f5e66-e800-7abc-8abc-0123456789ab"}}, once.Terms{})
	if want := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC); !errors.Is(err, once.ErrExpired) || !turn.Record.ExpiresAt.Equal(want) {
		t.Errorf("its window ended at %v %v, want %v", turn.Record.ExpiresAt, err, want)
	}
}
