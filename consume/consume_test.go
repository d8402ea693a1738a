package consume_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

func operation(t testing.TB, cfg once.Config) *once.Operation[struct{}] {
	t.Helper()
	cfg.Scope = once.SingleTenant
	eng, err := once.New(once.NewMemory(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &once.Operation[struct{}]{Engine: eng, Name: "test"}
}

func consumer(t testing.TB, cfg consume.Config, op *once.Operation[struct{}], fn func(context.Context, consume.Message, *once.Attempt) error) *consume.Consumer {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "points"
	}
	c, err := consume.New(cfg, consume.Keyed(op, fn))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One effect for each consumer and id, whatever the id looks like.
func TestIDsAreApart(t *testing.T) {
	op, effects := operation(t, once.Config{}), map[string]int{}
	long := strings.Repeat("x", 300)
	ids := []string{"m", "m/1", "mail/m", long, long + "y", "zwölf", "two\nlines", "sha256:" + strings.Repeat("0", 64)}
	for range 3 {
		for _, name := range []string{"points", "mail"} {
			c := consumer(t, consume.Config{Name: name}, op, func(_ context.Context, m consume.Message, _ *once.Attempt) error {
				effects[name+" "+m.ID]++
				return nil
			})
			for _, id := range ids {
				if o := c.Handle(t.Context(), consume.Message{ID: id, Body: []byte("x")}); o.Action != consume.Ack {
					t.Errorf("%s, %q: %v: %v", name, id, o.Action, o.Err)
				}
			}
		}
	}
	if len(effects) != 2*len(ids) {
		t.Errorf("there are effects %v", effects)
	}
	for of, n := range effects {
		if n != 1 {
			t.Errorf("%q happened %d times", of, n)
		}
	}
}

// The id of an envelope is used where the broker has none; a message without any is dead.
func TestWhatAMessageIsToldBy(t *testing.T) {
	seen := ""
	c := consumer(t, consume.Config{}, operation(t, once.Config{}), func(_ context.Context, m consume.Message, _ *once.Attempt) error {
		seen = m.ID
		return nil
	})
	event := `{"specversion":"1.0","id":"evt_1","type":"payment.succeeded","source":"/oncepay","data":{}}`
	if o := c.Handle(t.Context(), consume.Message{Body: []byte(event)}); o.Action != consume.Ack || seen != "evt_1" {
		t.Errorf("it is %v for %q: %v", o.Action, seen, o.Err)
	}
	for _, body := range []string{"", "{}", "x", `{"id":7}`} {
		if o := c.Handle(t.Context(), consume.Message{Body: []byte(body)}); o.Action != consume.Dead || !errors.Is(o.Err, consume.ErrNoID) {
			t.Errorf("%q is %v: %v", body, o.Action, o.Err)
		}
	}
}

// Failures are counted, a panic is one, and what is not the message's fault is none. What
// succeeds in between starts anew.
func TestFailuresAreCounted(t *testing.T) {
	var next func() error
	var buried []error
	c := consumer(t, consume.Config{
		Tries: consume.Tries{Failures: 3},
		Dead:  func(_ context.Context, _ consume.Message, why error) error { buried = append(buried, why); return nil },
	}, operation(t, once.Config{}), func(context.Context, consume.Message, *once.Attempt) error { return once.NothingHappened(next()) })
	handle := func(id string, want consume.Action, as func() error) {
		t.Helper()
		next = as
		if o := c.Handle(t.Context(), consume.Message{ID: id, Body: []byte("x")}); o.Action != want {
			t.Errorf("it is %v: %v", o.Action, o.Err)
		}
	}
	fails, waits := func() error { return errors.New("no") }, func() error { return consume.Later(errors.New("not now"), time.Second) }
	handle("a", consume.Retry, fails)
	handle("b", consume.Retry, fails)
	for range 5 {
		handle("a", consume.Retry, waits)
	}
	handle("a", consume.Retry, fails)
	handle("a", consume.Dead, fails)
	handle("a", consume.Retry, fails) // somebody has sent it again: it is tried anew
	handle("b", consume.Retry, fails)
	if len(buried) != 1 || buried[0].Error() == "" {
		t.Errorf("buried are %v", buried)
	}
}

// A handler that panics leaves a failure, not a dead process; of what it has done nobody
// knows, and a human decides.
func TestAPanicIsAFailure(t *testing.T) {
	c := consumer(t, consume.Config{}, operation(t, once.Config{}), func(context.Context, consume.Message, *once.Attempt) error { panic("out of cheese") })
	o := c.Handle(t.Context(), consume.Message{ID: "m", Body: []byte("x")})
	if o.Action != consume.Retry || !strings.Contains(o.Err.Error(), "out of cheese") {
		t.Errorf("it is %v: %v", o.Action, o.Err)
	}
	if o = c.Handle(t.Context(), consume.Message{ID: "m", Body: []byte("x")}); o.Action != consume.Dead || !errors.Is(o.Err, once.ErrParked) {
		t.Errorf("then it is %v: %v", o.Action, o.Err)
	}
}

// A message that kills its consumers is not run any more.
func TestWhatKillsIsNotRun(t *testing.T) {
	ran := false
	c := consumer(t, consume.Config{Tries: consume.Tries{Deliveries: 7}}, operation(t, once.Config{}), func(context.Context, consume.Message, *once.Attempt) error {
		ran = true
		return nil
	})
	if o := c.Handle(t.Context(), consume.Message{ID: "m", Deliveries: 8}); o.Action != consume.Dead || ran {
		t.Errorf("it is %v, ran: %v", o.Action, ran)
	}
	if o := c.Handle(t.Context(), consume.Message{ID: "m", Deliveries: 7}); o.Action != consume.Ack || !ran {
		t.Errorf("it is %v, ran: %v", o.Action, ran)
	}
}

// Where the dead letter is not taken, the message is not given up.
func TestADeadLetterThatIsNotTaken(t *testing.T) {
	full := errors.New("the disk is full")
	for name, dead := range map[string]func(context.Context, consume.Message, error) error{
		"an error": func(context.Context, consume.Message, error) error { return full },
		"a panic":  func(context.Context, consume.Message, error) error { panic(full) },
	} {
		c := consumer(t, consume.Config{Dead: dead}, operation(t, once.Config{}), func(context.Context, consume.Message, *once.Attempt) error {
			return consume.Poison(errors.New("no"))
		})
		if o := c.Handle(t.Context(), consume.Message{ID: "m", Body: []byte("x")}); o.Action != consume.Retry || o.After <= 0 || !strings.Contains(o.Err.Error(), full.Error()) {
			t.Errorf("%s: it is %v after %v: %v", name, o.Action, o.After, o.Err)
		}
	}
}

// What an effect elsewhere came to is not known where its mark was lost: the operation's
// policy says what then, and only a declared Rerun runs again.
func TestAnEffectElsewhereFollowsItsPolicy(t *testing.T) {
	for policy, want := range map[once.Policy]consume.Action{once.Park: consume.Dead, once.Rerun: consume.Ack} {
		op, ran := operation(t, once.Config{}), 0
		op.Vanished = policy
		c := consumer(t, consume.Config{}, op, func(context.Context, consume.Message, *once.Attempt) error {
			if ran++; ran == 1 {
				return errors.New("the answer was lost")
			}
			return nil
		})
		m := consume.Message{ID: "m", Body: []byte("x")}
		if o := c.Handle(t.Context(), m); o.Action != consume.Retry {
			t.Errorf("%v: first it is %v", policy, o.Action)
		}
		if o := c.Handle(t.Context(), m); o.Action != want || (ran == 2) != (policy == once.Rerun) {
			t.Errorf("%v: then it is %v, and ran %d times: %v", policy, o.Action, ran, o.Err)
		}
	}
}

// Of many deliveries at once one runs, and whoever is told to come again finds it done.
func TestDeliveredManyTimesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran, acknowledged atomic.Int64
		c := consumer(t, consume.Config{}, operation(t, once.Config{Wait: time.Second}), func(context.Context, consume.Message, *once.Attempt) error {
			ran.Add(1)
			time.Sleep(5 * time.Second)
			return nil
		})
		for range 100 {
			go func() {
				for {
					o := c.Handle(t.Context(), consume.Message{ID: "m", Body: []byte("x")})
					if o.Action == consume.Ack {
						acknowledged.Add(1)
						return
					}
					time.Sleep(o.After)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if ran.Load() != 1 || acknowledged.Load() != 100 {
			t.Errorf("it ran %d times, and %d were acknowledged", ran.Load(), acknowledged.Load())
		}
	})
}

// A window that ends before the broker can deliver again is refused.
func TestOutlives(t *testing.T) {
	c := consumer(t, consume.Config{}, operation(t, once.Config{Window: 24 * time.Hour}), func(context.Context, consume.Message, *once.Attempt) error { return nil })
	if err := c.Outlives(once.Window{RetryHorizon: 18 * time.Hour}); err != nil {
		t.Error(err)
	}
	if err := c.Outlives(once.Window{RetryHorizon: 19 * time.Hour}); !errors.Is(err, once.ErrWindowTooShort) {
		t.Errorf("it is %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	effect := consume.Keyed(operation(t, once.Config{}), func(context.Context, consume.Message, *once.Attempt) error { return nil })
	for _, cfg := range []consume.Config{
		{}, {Name: "a/b"}, {Name: "a b"}, {Name: strings.Repeat("x", 65)}, {Name: "a", Tries: consume.Tries{Failures: -1}},
		{Name: "a", Tries: consume.Tries{First: time.Hour, Most: time.Minute}}, {Name: "a", Tries: consume.Tries{Failures: 20, Deliveries: 10}},
	} {
		if _, err := consume.New(cfg, effect); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if _, err := consume.New(consume.Config{Name: "a"}, consume.Effect{}); err == nil {
		t.Error("no effect is taken")
	}
}
