package main

import (
	"sync/atomic"
	"time"
)

// moment is when something was done last. It is safe for concurrent use.
type moment struct{ nanos atomic.Int64 }

// pass says whether it is that long ago, to one of those who ask at once.
func (m *moment) pass(every time.Duration) bool {
	now, last := time.Now().UnixNano(), m.nanos.Load()
	return time.Duration(now-last) >= every && m.nanos.CompareAndSwap(last, now)
}
