package bench

import (
	"bytes"
	"errors"
	"net/http"
	"sync"
	"time"
)

// stormAnswer is what one connection got back.
type stormAnswer struct {
	answer
	at  time.Duration // since all were let go
	err error
}

// storm sends transfer 0 on every connection at the same moment. One of them
// may execute; all others must get its bytes.
func (r *run) storm() (*StormReport, error) {
	var ready sync.WaitGroup
	ready.Add(len(r.workers))
	start := sync.OnceValue(func() time.Time { ready.Wait(); return time.Now() })
	var mu sync.Mutex
	var answers []stormAnswer
	_ = r.all(func(w *worker) error {
		req := w.desk.transfer(0)
		ready.Done()
		begun := start()
		ans, err := w.wire.exchange(req)
		at := time.Since(begun)
		w.tally.observe(storm, 0, at, 0, ans.status, err)
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, stormAnswer{ans, at, err}) // no further exchange: the body stays
		return nil
	})
	return r.judge(answers)
}

// judge counts executions and books the one transfer that there may be.
func (r *run) judge(answers []stormAnswer) (*StormReport, error) {
	report := &StormReport{Sent: len(answers)}
	var first []byte
	var unsure, other int
	for _, a := range answers {
		if a.err == nil {
			report.note(a)
		}
		switch v := verdictOf(a.answer, a.err); {
		case v == unknown:
			unsure++
		case v == acknowledged && first == nil:
			first = a.body
		case v == acknowledged && !bytes.Equal(first, a.body):
			other++
		}
	}
	if report.Executions > 1 || (report.Executions == 0 && report.Replays > 0 && unsure == 0) {
		r.faults.add("storm: %d of %d answers to one key are no replays, want 1", report.Executions, len(answers))
	}
	if other > 0 {
		r.faults.add("storm: %d answers have other bytes than the first", other)
	}
	if first != nil {
		r.outcomes.acknowledge(0, first)
		return report, nil
	}
	if unsure > 0 {
		return report, r.outcomes.doubt(0)
	}
	return report, errors.New("bench: storm: nobody was answered 201")
}

func (s *StormReport) note(a stormAnswer) {
	at := millis(a.at)
	if s.answered++; s.answered == 1 {
		s.FirstMS = at
	}
	s.FirstMS, s.LastMS = min(s.FirstMS, at), max(s.LastMS, at)
	s.SpreadMS = s.LastMS - s.FirstMS
	switch {
	case a.status == http.StatusCreated && a.replayed:
		s.Replays++
	case a.status == http.StatusCreated:
		s.Executions++
	}
}
