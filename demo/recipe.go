package demo

import (
	"sync"
	"time"
)

// recipe is the textbook's way with Redis: EXISTS, SET with a TTL, DEL on an
// exception. The keys are in a map that does what Redis does with these three
// commands; each is atomic, the recipe is not.
type recipe struct {
	mu   sync.Mutex
	keys map[string]time.Time // until when
}

// ttl is the recipe's: a day.
const ttl = 24 * time.Hour

func newRecipe() *recipe { return &recipe{keys: map[string]time.Time{}} }

// once runs work unless the key is there. A duplicate is told that all is well.
func (c *recipe) once(key string, work func() (bool, error)) bool {
	if c.exists(key) {
		return true
	}
	time.Sleep(roundTrip) // to Redis and back: whoever comes meanwhile sees no key either
	c.set(key)
	done, err := work()
	if err != nil {
		c.del(key) // "so that it can be tried again": but was it not done?
		return false
	}
	return done
}

const roundTrip = 500 * time.Microsecond

func (c *recipe) exists(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.keys[key])
}

func (c *recipe) set(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[key] = time.Now().Add(ttl)
}

func (c *recipe) del(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, key)
}
