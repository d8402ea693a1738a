package once_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/once"
)

// renewals is a store that writes down when leases are renewed, and that cannot be
// reached for one key.
type renewals struct {
	once.Store
	began time.Time
	away  string
	seen  []string
}

func (s *renewals) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	if next.Version > 1 && next.State == once.Claimed {
		s.seen = append(s.seen, fmt.Sprint(next.Key.ID, " ", time.Since(s.began)))
	}
	if next.Version > 1 && next.Key.ID == s.away {
		return once.Seen{}, errors.New("it cannot be reached")
	}
	return s.Store.Swap(ctx, next)
}

// Each attempt's lease is renewed when a third of it is over, and more often where that
// fails, whatever other attempts there are; none is once it has ended.
func TestEachLeaseIsRenewedInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &renewals{Store: once.NewMemory(), began: time.Now(), away: "c"}
		e, err := once.New(s, once.Config{Scope: once.SingleTenant, Secret: secret, Lease: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		attempts := map[string]*once.Attempt{}
		for _, id := range []string{"a", "b", "c", "d"} {
			turn, err := e.Begin(t.Context(), once.Request{Key: once.Key{Tenant: "default", ID: id}}, once.Terms{})
			if err != nil {
				t.Fatal(err)
			}
			attempts[id] = turn.Attempt
			time.Sleep(time.Second)
		}
		end := func(id string) {
			if err := attempts[id].Complete(t.Context(), once.Answer{Status: 200}); err != nil {
				t.Error(err)
			}
		}
		end("b")
		time.Sleep(12 * time.Second) // to 16 s
		synctest.Wait()
		if want := []string{"a 10s", "c 12s", "d 13s", "c 14.5s"}; !slices.Equal(s.seen, want) {
			t.Errorf("got %q, want %q", s.seen, want)
		}
		s.seen, s.away = nil, ""
		end("a")
		time.Sleep(8 * time.Second) // to 24 s
		synctest.Wait()
		if want := []string{"c 17s", "d 23s"}; !slices.Equal(s.seen, want) {
			t.Errorf("got %q, want %q", s.seen, want)
		}
		s.seen = nil
		end("c")
		end("d")
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.seen) > 0 {
			t.Errorf("renewed after their ends: %q", s.seen)
		}
	})
}
