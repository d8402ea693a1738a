package dedup

import (
	"cmp"
	"fmt"
	"time"
)

// Limits. Each is a promise to whoever runs the index.
const (
	MaxID    = 255    // bytes: the longest key that our APIs take
	MaxBatch = 65_536 // ids of one question: they are written together, or not at all

	MaxWindow = 30 * 24 * time.Hour // an eighth of it must fit 32 bits of milliseconds
	MinWindow = 8 * time.Millisecond

	minTable = MaxBatch  // a table takes at least one question
	maxTable = 100 << 20 // and its log is at most 6.25 GiB, however small its groups
)

// Config is what can be chosen. Its zero value works.
type Config struct {
	// Window is how long an id is remembered.
	//
	// Defaults to 24 hours.
	Window time.Duration

	// Table is how many ids there are in memory, in at most two tables of which each
	// takes 10.7 bytes for every one of these, whether it is there or not. When one is
	// full it goes to disk, where an id costs two bytes of memory.
	//
	// Defaults to 4,194,304: 43 MiB a table.
	Table int

	// Now is the clock. It is asked once a question.
	//
	// Defaults to time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.Table = cmp.Or(c.Table, 1<<22)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) check() error {
	if c.Window < MinWindow || c.Window > MaxWindow {
		return fmt.Errorf("dedup: a window of %v: it must be %v to %v", c.Window, MinWindow, MaxWindow)
	}
	if c.Table < minTable || c.Table > maxTable {
		return fmt.Errorf("dedup: a table of %d ids: it must be %d to %d", c.Table, minTable, maxTable)
	}
	return nil
}
