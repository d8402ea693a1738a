package sim

import "time"

// habits is what goes wrong in a history, and how often: each has its own
// weather, so that rare combinations are not drowned in noise. Chances are in
// thousandths.
type habits struct {
	lose, double, delay             int           // messages
	refuse, conflict, adrift, hide  int           // commits
	fill, stall, loadError          int           // the disk
	crash, cut, jump                int           // a crash as the server works, and as the disk does
	giveUp, twice, misuse, comeBack int           // clients
	shop                            int           // payments, of all that clients do
	unreachable, vanish, late, slow int           // sends to a gateway
	early, garble, blank, down      int           // answers of a gateway, and of its lookup
	decline, action                 int           // banks
	pause                           int           // senders
	loseNotice, doubleNotice        int           // webhooks
	latency, pace                   time.Duration // at most: of a message, between two operations
	loadTime, writeTime, syncTime   time.Duration
	window, tombstones              time.Duration
	skew                            time.Duration // that clocks may have
	maxBatch, maxQueue, maxWaiters  int
}

// manyWaiters is more than there ever are.
const manyWaiters = 10_000

func drawHabits(l *loop) habits {
	often := func(of ...int) int { return pick(l, of...) }
	h := habits{
		lose: often(0, 0, 10, 100, 300), double: often(0, 10, 100, 300), delay: often(0, 0, 10, 100),
		refuse: often(0, 0, 20, 200), conflict: often(0, 0, 20, 200), adrift: often(0, 0, 50, 300), hide: often(0, 0, 50, 300),
		fill: often(0, 0, 0, 10, 50), stall: often(0, 0, 10), loadError: often(0, 0, 10, 100),
		crash: often(0, 1, 5, 20), cut: often(0, 5, 20, 60), jump: often(0, 0, 50, 200),
		giveUp: often(0, 50, 300), twice: often(0, 100, 400), misuse: often(0, 50, 200), comeBack: often(0, 100, 300),
		shop:        often(0, 300, 600, 1000),
		unreachable: often(0, 50, 300), vanish: often(0, 0, 50, 300), late: often(0, 0, 50, 300), slow: often(0, 50, 300),
		early: often(0, 0, 50, 200), garble: often(0, 50, 200), blank: often(0, 50, 500), down: often(0, 0, 30, 100),
		decline: often(0, 50, 200), action: often(0, 0, 200, 500), pause: often(0, 20, 100, 300),
		loseNotice: often(0, 300, 900), doubleNotice: often(0, 100, 500),
		latency:  pick(l, 100*time.Microsecond, 5*time.Millisecond, 100*time.Millisecond),
		pace:     pick(l, time.Millisecond, 20*time.Millisecond, 200*time.Millisecond),
		loadTime: pick(l, 0, 100*time.Microsecond, 5*time.Millisecond),
		syncTime: pick(l, 100*time.Microsecond, 5*time.Millisecond, 200*time.Millisecond), writeTime: 200 * time.Microsecond,
		window:   pick(l, time.Minute, 24*time.Hour, 24*time.Hour),
		maxBatch: pick(l, 1, 2, 8, 512), maxQueue: pick(l, 2, 64, 16384), maxWaiters: pick(l, 1, 3, manyWaiters, manyWaiters),
	}
	h.skew = pick(l, 5*time.Minute, 5*time.Minute, 10*time.Second)
	h.tombstones = pick(l, 400*24*time.Hour, h.window+time.Hour)
	return h
}
