package bench

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// A progress tells a person where a run stands: a line that is rewritten each
// second on a terminal, and lines every five seconds anywhere else.
type progress struct {
	to    io.Writer
	live  bool
	every time.Duration
}

func newProgress(to io.Writer) *progress {
	if to == nil {
		to = io.Discard
	}
	p := &progress{to: to, every: 5 * time.Second}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.live, p.every = true, time.Second
	}
	return p
}

// say writes a line of its own. Progress that cannot be written is no reason to
// stop a run.
func (p *progress) say(format string, args ...any) {
	fmt.Fprintf(p.to, format+"\n", args...)
}

// watch reports on t until stop is called, which waits for the last line.
func (p *progress) watch(t *tally) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		start, before := time.Now(), uint64(0)
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				before = p.line(t, now.Sub(start), before)
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
		if p.live {
			fmt.Fprint(p.to, "\r\x1b[K") // the report takes the line's place
		}
	}
}

func (p *progress) line(t *tally, elapsed time.Duration, before uint64) (sent uint64) {
	sent, failed, p99 := t.glance()
	begin, end := "", "\n"
	if p.live {
		begin, end = "\r\x1b[K", ""
	}
	fmt.Fprintf(p.to, "%s%4.0f s  %8.0f requests/s  p99 %.2f ms  %d errors%s",
		begin, elapsed.Seconds(), float64(sent-before)/p.every.Seconds(), millis(p99), failed, end)
	return sent
}
