package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
)

// Street is a broker, as a consumer's side of it is tested.
type Street interface {
	// Publish has a message delivered, also if one with that id was before.
	Publish(t testing.TB, id string, body string)

	// Run consumes until ctx ends, through a connection of its own.
	Run(ctx context.Context, c *consume.Consumer) error

	// Drop cuts all connections of those who Run: what they have acknowledged since is
	// lost. They may return an error.
	Drop()

	// Left is how many messages are not acknowledged yet.
	Left(t testing.TB) int
}

// TestConsumer holds a face for a broker to what package consume promises. open makes a
// broker with nothing in it, that delivers again within a second or two what was not
// acknowledged, and cleans up with the test.
func TestConsumer(t *testing.T, open func(testing.TB) Street) {
	for _, p := range consumerPromises {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.keep(&counter{TB: t, Street: open(t), done: map[string]int{}, dead: map[string]error{}, failing: map[string]int{}})
		})
	}
}

var consumerPromises = []struct {
	name string
	keep func(*counter)
}{
	{"a message that is published twice has its effect once", publishedTwice},
	{"a message that fails comes again, and others do not wait for it", failsAndComesAgain},
	{"poison in the middle is a dead letter, and the rest goes on", poisonInTheMiddle},
	{"a lost acknowledgement brings no second effect", acknowledgementLost},
	{"two consumers of one name share, and of two names do not", sharedByName},
	{"what is at work when it is stopped is done once", stoppedAtWork},
	{"a consumer that forgets too early is refused", forgetsTooEarly},
}

// counter counts effects, by consumer and message.
type counter struct {
	testing.TB
	Street

	mu      sync.Mutex
	done    map[string]int
	dead    map[string]error
	failing map[string]int // how often a message is to fail yet
	store   *once.Memory
}

// settleTime is how long a broker may take to have delivered everything.
const settleTime = 60 * time.Second

func (c *counter) consumer(name string, window time.Duration, set ...func(*consume.Config)) *consume.Consumer {
	c.Helper()
	if c.store == nil {
		c.store = once.NewMemory()
	}
	eng, err := once.New(c.store, once.Config{
		Scope: once.SingleTenant, Secret: []byte("the same for all of this store"), Window: window, Retries: once.Window{RetryHorizon: 1, Partition: 1, Skew: 1, Margin: 1},
	})
	if err != nil {
		c.Fatal(err)
	}
	op := &once.Operation[struct{}]{Engine: eng, Name: name}
	cfg := consume.Config{
		Name: name, Tries: consume.Tries{Failures: 3, First: 10 * time.Millisecond, Most: time.Second},
		Dead: func(_ context.Context, m consume.Message, why error) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.dead[m.ID] = why
			return nil
		},
	}
	for _, set := range set {
		set(&cfg)
	}
	made, err := consume.New(cfg, consume.Keyed(op, func(_ context.Context, m consume.Message, _ *once.Attempt) error {
		return c.effect(name, m)
	}))
	if err != nil {
		c.Fatal(err)
	}
	return made
}

func (c *counter) effect(name string, m consume.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing[m.ID] > 0 {
		c.failing[m.ID]--
		return once.NothingHappened(errors.New("not yet"))
	}
	c.done[name+" "+m.ID]++
	return nil
}

// start runs a consumer until the test is over, or stop is called, which waits for it.
func (c *counter) start(consumer *consume.Consumer) (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := c.Run(ctx, consumer); err != nil && ctx.Err() == nil {
				c.Logf("it has stopped: %v", err) // cut off: it is started again, as every service is
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	c.Cleanup(stop)
	return stop
}

// until waits for something to be so.
func (c *counter) until(what string, is func() bool) {
	c.Helper()
	for end := time.Now().Add(settleTime); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.Fatalf("in %v it did not come to this: %s; done are %v, dead %v", settleTime, what, c.done, c.dead)
		}
	}
}

func (c *counter) settled() {
	c.Helper()
	c.until("nothing is left", func() bool { return c.Left(c) == 0 })
}

func (c *counter) times(name, id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[name+" "+id]
}

func (c *counter) want(name, id string, times int) {
	c.Helper()
	if got := c.times(name, id); got != times {
		c.Errorf("the effect of %s for %s happened %d times, want %d", id, name, got, times)
	}
}

func (c *counter) publish(from, to int) {
	for i := from; i < to; i++ {
		c.Publish(c, fmt.Sprintf("m-%d", i), fmt.Sprintf(`{"number":%d}`, i))
	}
}

// safe is a window longer than any broker of a test can deliver again.
const safe = 400 * 24 * time.Hour

func publishedTwice(c *counter) {
	c.publish(0, 20)
	c.publish(0, 20)
	c.start(c.consumer("points", safe))
	c.settled()
	c.publish(0, 20)
	c.settled()
	for i := range 20 {
		c.want("points", fmt.Sprintf("m-%d", i), 1)
	}
}

func failsAndComesAgain(c *counter) {
	c.failing["m-0"] = 2
	c.publish(0, 10)
	c.start(c.consumer("points", safe))
	c.settled()
	for i := range 10 {
		c.want("points", fmt.Sprintf("m-%d", i), 1)
	}
	if len(c.dead) > 0 {
		c.Errorf("dead are %v", c.dead)
	}
}

func poisonInTheMiddle(c *counter) {
	c.failing["m-5"] = 1 << 30
	c.publish(0, 10)
	c.Publish(c, "m-10", `{"number":10}`)
	c.Publish(c, "m-10", `{"number":11}`) // another message under the id
	c.start(c.consumer("points", safe))
	c.settled()
	for i := range 10 {
		c.want("points", fmt.Sprintf("m-%d", i), map[bool]int{true: 0, false: 1}[i == 5])
	}
	c.want("points", "m-10", 1)
	if c.dead["m-5"] == nil || !errors.Is(c.dead["m-10"], once.ErrMismatch) || len(c.dead) != 2 {
		c.Errorf("dead are %v", c.dead)
	}
}

func acknowledgementLost(c *counter) {
	c.publish(0, 10)
	var cut sync.Once
	seen := map[string]int{}
	c.start(c.consumer("points", safe, func(cfg *consume.Config) {
		cfg.Observe = func(_ context.Context, m consume.Message, _ consume.Outcome) {
			c.mu.Lock()
			seen[m.ID]++
			c.mu.Unlock()
			cut.Do(c.Drop) // the effect has happened, and is acknowledged on a connection that is gone
		}
	}))
	c.settled()
	again := 0
	for i := range 10 {
		c.want("points", fmt.Sprintf("m-%d", i), 1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range seen {
		again = max(again, n)
	}
	if again < 2 {
		c.Errorf("nothing was delivered again: %v", seen)
	}
}

func sharedByName(c *counter) {
	points, mail := c.consumer("points", safe), c.consumer("mail", safe)
	c.publish(0, 30)
	stop := c.start(points)
	also := c.start(c.consumer("points", safe))
	c.settled()
	stop()
	also()
	c.start(mail)
	c.publish(0, 30)
	c.settled()
	for i := range 30 {
		c.want("points", fmt.Sprintf("m-%d", i), 1)
		c.want("mail", fmt.Sprintf("m-%d", i), 1)
	}
}

func stoppedAtWork(c *counter) {
	consumer := c.consumer("points", safe)
	c.publish(0, 50)
	for range 3 {
		stop := c.start(consumer)
		before := c.total()
		c.until("something is done", func() bool { return c.total() > before || c.Left(c) == 0 })
		stop()
	}
	c.start(consumer)
	c.settled()
	for i := range 50 {
		c.want("points", fmt.Sprintf("m-%d", i), 1)
	}
}

func (c *counter) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.done)
}

func forgetsTooEarly(c *counter) {
	ctx, cancel := context.WithTimeout(c.Context(), settleTime)
	defer cancel()
	if err := c.Run(ctx, c.consumer("points", time.Second)); !errors.Is(err, once.ErrWindowTooShort) {
		c.Errorf("a window of a second is refused with %v", err)
	}
}
