package watermill_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	wm "github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/consume/watermill"
	"github.com/oncepay/oncepay/once"
)

// house is a router on channels, and the effects that its handlers had.
type house struct {
	*gochannel.GoChannel
	t      *testing.T
	engine *once.Engine

	mu      sync.Mutex
	done    map[string]int
	dead    map[string]error
	failing map[string]int
	lost    map[string]bool // messages whose acknowledgement is to be lost once
	acked   int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	engine, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant, Window: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, engine: engine, done: map[string]int{}, dead: map[string]error{}, failing: map[string]int{}, lost: map[string]bool{}}
	h.GoChannel = gochannel.NewGoChannel(gochannel.Config{Persistent: true}, wm.NopLogger{})
	t.Cleanup(func() { h.Close() })
	return h
}

// consumer counts effects, and dead letters.
func (h *house) consumer(name string) *consume.Consumer {
	h.t.Helper()
	op := once.Operation[struct{}]{Engine: h.engine, Name: name}
	c, err := consume.New(consume.Config{
		Name: name, Tries: consume.Tries{Failures: 3, First: time.Millisecond, Most: 5 * time.Millisecond},
		Dead: func(_ context.Context, m consume.Message, why error) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.dead[m.ID] = why
			return nil
		},
	}, consume.Keyed(&op, func(_ context.Context, m consume.Message, _ *once.Attempt) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.failing[m.ID] > 0 {
			h.failing[m.ID]--
			return once.NothingHappened(errors.New("not yet"))
		}
		h.done[name+"/"+m.ID]++
		return nil
	}))
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// run handles the messages of a topic until the test is over.
func (h *house) run(c *consume.Consumer, cfg watermill.Config) {
	h.t.Helper()
	handle, err := watermill.Handler(c, cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, wm.NopLogger{})
	if err != nil {
		h.t.Fatal(err)
	}
	router.AddConsumerHandler(c.Name(), "events", h.GoChannel, func(m *message.Message) error {
		err := handle(m)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil && h.lost[m.UUID] {
			h.lost[m.UUID] = false
			return errors.New("the acknowledgement was lost")
		}
		if err == nil {
			h.acked++
		}
		return err
	})
	var running sync.WaitGroup
	running.Go(func() { router.Run(context.Background()) })
	h.t.Cleanup(func() { router.Close(); running.Wait() })
	<-router.Running()
}

func (h *house) publish(uuid, id string) {
	h.t.Helper()
	m := message.NewMessage(uuid, []byte("body of "+id))
	m.Metadata.Set("ce_id", id)
	if err := h.Publish("events", m); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) until(what string, is func() bool) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		ok := is()
		h.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("it does not come about that %s: done %v, dead %v", what, h.done, h.dead)
		}
	}
}

const day = 24 * time.Hour

// TestEffectsHappenOnce: published twice, failed, poison in the middle, an acknowledgement lost.
func TestEffectsHappenOnce(t *testing.T) {
	h := newHouse(t)
	h.failing["m3"], h.failing["m5"] = 2, 1000
	h.lost["u7"] = true
	h.run(h.consumer("points"), watermill.Config{Horizon: day, IDFrom: "ce_id"})
	h.run(h.consumer("mails"), watermill.Config{Horizon: day, IDFrom: "ce_id"})
	const n = 10
	for i := range n {
		h.publish(fmt.Sprint("u", i), fmt.Sprint("m", i))
		h.publish(fmt.Sprint("again", i), fmt.Sprint("m", i)) // by a publisher that was not sure
	}
	h.until("all is acknowledged", func() bool { return h.acked == 2*2*n })
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range n {
		for _, name := range []string{"points", "mails"} {
			id := fmt.Sprint("m", i)
			if want := 1; i == 5 {
				if h.done[name+"/"+id] != 0 || h.dead[id] == nil {
					t.Errorf("poison: done %d times for %s, dead %v", h.done[name+"/"+id], name, h.dead[id])
				}
			} else if h.done[name+"/"+id] != want {
				t.Errorf("%s was done %d times for %s", id, h.done[name+"/"+id], name)
			}
		}
	}
	if h.lost["u7"] {
		t.Error("no acknowledgement was lost: that was not tested")
	}
}

func TestTheUUIDIsTheId(t *testing.T) {
	h := newHouse(t)
	h.run(h.consumer("points"), watermill.Config{Horizon: day})
	h.publish("u1", "m1")
	h.publish("u1", "m1")
	h.publish("u2", "m1")
	h.until("both are done", func() bool { return h.done["points/u1"] == 1 && h.done["points/u2"] == 1 })
}

func TestWhatIsRefused(t *testing.T) {
	h := newHouse(t)
	op := once.Operation[struct{}]{Engine: h.engine, Name: "bare"}
	bare, err := consume.New(consume.Config{Name: "bare"}, consume.Keyed(&op, func(context.Context, consume.Message, *once.Attempt) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		c    *consume.Consumer
		cfg  watermill.Config
		want error
	}{
		{h.consumer("points"), watermill.Config{}, watermill.ErrNoHorizon},
		{bare, watermill.Config{Horizon: day}, watermill.ErrNoGrave},
		{h.consumer("points"), watermill.Config{Horizon: 60 * day}, once.ErrWindowTooShort},
	} {
		if _, err := watermill.Handler(row.c, row.cfg); !errors.Is(err, row.want) {
			t.Errorf("%+v: %v, want %v", row.cfg, err, row.want)
		}
	}
}

// TestItIsHeld for its pause, and not for longer than is said.
func TestItIsHeld(t *testing.T) {
	h := newHouse(t)
	op := once.Operation[struct{}]{Engine: h.engine, Name: "slow"}
	c, err := consume.New(consume.Config{
		Name: "slow", Tries: consume.Tries{First: time.Hour, Most: time.Hour}, Dead: func(context.Context, consume.Message, error) error { return nil },
	}, consume.Keyed(&op, func(context.Context, consume.Message, *once.Attempt) error {
		return once.NothingHappened(errors.New("not yet"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	handle, err := watermill.Handler(c, watermill.Config{Horizon: day, MaxPause: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := handle(message.NewMessage("u", []byte("x"))); err == nil || time.Since(began) < 20*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	m := message.NewMessage("v", []byte("x"))
	m.SetContext(ctx)
	if err := handle(m); err == nil { // and does not wait
		t.Error("it was acknowledged")
	}
}
