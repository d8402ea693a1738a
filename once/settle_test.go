package once_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/oncepay/oncepay/once"
)

// A human's decision is the key's answer, or frees it; and who comes back is fenced.
func TestSettle(t *testing.T) {
	key := once.Key{Tenant: "default", ID: "order-42"}
	happened := once.Settlement{Happened: true, Answer: once.Answer{Status: 200, Body: []byte(`{"Charge":"ch_found"}`)}}
	for _, row := range []struct {
		sentence string
		decision once.Settlement
		late     error  // what who comes back knows
		told     string // what it is told; "": that it was fenced
		want     string
	}{
		{"it happened", happened, errors.New("no idea"), "", "ch_found"},
		{"it happened, and who comes back knows better", happened, nil, "ch_found", "ch_found"},
		{"it did not", once.Settlement{}, errors.New("no idea"), "", "ch_1"},
		{"it did not, and who comes back knows better", once.Settlement{}, nil, "", "ch_1"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := once.NewMemory()
				paused := &deadly{Store: store}
				late, n := newNode(t, paused, once.Park), newNode(t, store, once.Park)
				row.decision.Evidence, row.decision.Actor = "the gateway's report", "ann"
				told, err := late.Do(t.Context(), key.ID, 1, func(ctx context.Context, _ *once.Attempt) (receipt, error) {
					if _, err := n.Engine.Settle(ctx, key, row.decision); !errors.Is(err, once.ErrBusy) {
						t.Errorf("while it is at work it is decided: %v", err)
					}
					paused.dead.Store(true)
					<-ctx.Done()
					if found, _, err := n.Engine.Unfinished(t.Context(), "", 10); err != nil || len(found) != 1 || found[0].Key != key {
						t.Errorf("listed are %+v %v", found, err)
					}
					rec, err := n.Engine.Settle(t.Context(), key, row.decision)
					if err != nil || !strings.Contains(rec.Note, "by ann: the gateway's report") {
						t.Errorf("it came to %+v %v", rec, err)
					}
					paused.dead.Store(false)
					return receipt{"ch_late", 1}, row.late
				})
				if row.told == "" && !errors.Is(err, once.ErrFenced) || row.told != "" && (err != nil || told.Charge != row.told) {
					t.Errorf("who comes back is told %+v %v", told, err)
				}
				if r, err := n.charge(t.Context(), key.ID, 1); err != nil || r.Charge != row.want {
					t.Errorf("a repeat gets %+v %v, want %s", r, err, row.want)
				}
				if _, err := n.Engine.Settle(t.Context(), key, row.decision); !errors.Is(err, once.ErrSettled) {
					t.Errorf("decided again it is %v", err)
				}
				if found, _, _ := n.Engine.Unfinished(t.Context(), "", 10); len(found) != 0 {
					t.Errorf("listed are %+v", found)
				}
			})
		})
	}
}
