package web

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// outage tells the log that the store fails. A store that is gone fails every
// request, and a line for each would be more load and hide all else: so the
// first is told at once, and those of each second after it as one number.
type outage struct {
	log *slog.Logger

	mu     sync.Mutex
	silent bool // one was told less than a second ago
	untold int  // how many failed since then
	last   error
}

// outageTime is how long a line about the store is enough.
const outageTime = time.Second

// tell logs that a request failed for err, now or with others soon.
func (o *outage) tell(level slog.Level, text string, err error, about ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent {
		o.untold, o.last = o.untold+1, err
		return
	}
	o.log.Log(context.Background(), level, text, append(about, "err", err)...)
	o.silent = true
	time.AfterFunc(outageTime, o.sum)
}

// sum tells what was not told, and goes on until there is nothing.
func (o *outage) sum() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.untold == 0 {
		o.silent = false
		return
	}
	o.log.Warn("the store failed for more requests", "requests", o.untold, "within", outageTime.String(), "err", o.last)
	o.untold, o.last = 0, nil
	time.AfterFunc(outageTime, o.sum)
}
