package redis

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// clock is the server's time, as far as it is known here: what the server said last, and
// on by a clock that nobody sets. It is behind the server's by no more than an answer
// takes, and never runs backwards. On a Cluster it is that of whichever node was asked.
type clock struct {
	mu     sync.Mutex
	asked  time.Time // when the server was asked last
	server time.Time // what it said
	here   time.Time // when that came
	told   time.Time // what was said here last
}

// askEvery is how old an answer of the server's may get before it is asked again, along
// with the next command: a script that asked every time would take half as long again.
const askEvery = 100 * time.Millisecond

// due says whether whoever is about to ask the server something should ask the time, too.
func (c *clock) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) < askEvery {
		return false
	}
	c.asked = time.Now()
	return true
}

// saw takes an answer to TIME: seconds, and microseconds of them.
func (c *clock) saw(answer rueidis.RedisResult) error {
	parts, err := answer.AsStrSlice()
	if err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("TIME has %d parts", len(parts))
	}
	sec, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return err
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return err
	}
	c.set(time.Unix(sec, micros*1_000).UTC())
	return nil
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server, c.here = at, time.Now()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.server.Add(time.Since(c.here)).Truncate(time.Microsecond); now.After(c.told) {
		c.told = now
	}
	return c.told
}
