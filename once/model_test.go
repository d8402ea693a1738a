package once_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/once"
)

// life is one key in a store that keeps what it is told, and its history: what
// the promise of the package is measured by.
type life struct {
	record   once.Record
	now      time.Time
	attempts []int64 // handed out so far
	answers  map[string]bool
	executed bool // an attempt completed
	over     bool // somebody was told that the window is over
}

func (l *life) ask(t *rapid.T, req once.Request) {
	v := once.Decide(l.record, req, l.now, rules)
	switch v.Action {
	case once.Execute:
		if l.executed {
			t.Fatalf("an answered key was executed again, from %v", l.record.State)
		}
		if n := len(l.attempts); n > 0 && v.Record.Attempt <= l.attempts[n-1] {
			t.Fatalf("attempt %d follows attempt %d", v.Record.Attempt, l.attempts[n-1])
		}
		l.attempts = append(l.attempts, v.Record.Attempt)
		l.record = v.Record
	case once.Replay:
		l.hear(t, v.Record.Answer)
	case once.Refuse:
		l.over = l.over || v.Err == once.ErrExpired
	}
}

// hear notes an answer that somebody was given.
func (l *life) hear(t *rapid.T, a once.Answer) {
	l.answers[string(a.Body)] = true
	if len(l.answers) > 1 {
		t.Fatalf("the key has %d answers: %v", len(l.answers), l.answers)
	}
	if l.over {
		t.Fatalf("an answer after the window: %s", a.Body)
	}
}

// finish has some attempt complete or release the key. Only the latest one of
// an open key may.
func (l *life) finish(t *rapid.T, attempt int64, complete bool) {
	open := l.record.State == once.Claimed || l.record.State == once.Unknown
	next, err := l.record.Release(attempt)
	if complete {
		next, err = l.record.Complete(attempt, "tr", once.Answer{Status: 201, Body: fmt.Appendf(nil, "by attempt %d", attempt)})
	}
	if allowed := open && attempt == l.record.Attempt; (err == nil) != allowed {
		t.Fatalf("attempt %d of a key %v at attempt %d: %v", attempt, l.record.State, l.record.Attempt, err)
	}
	if err != nil {
		return
	}
	if complete {
		l.executed = true
		l.answers[string(next.Answer.Body)] = true
	}
	l.record = next
}

func TestAKeyNeverHasTwoAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{now: born, answers: map[string]bool{}}
		requests := []once.Request{theRequest, anotherRequest}
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) { l.ask(t, rapid.SampledFrom(requests).Draw(t, "request")) },
			"finish": func(t *rapid.T) {
				if len(l.attempts) == 0 {
					t.Skip("nobody began")
				}
				l.finish(t, rapid.SampledFrom(l.attempts).Draw(t, "attempt"), rapid.Bool().Draw(t, "complete"))
			},
			"time passes": func(t *rapid.T) {
				l.now = l.now.Add(rapid.SampledFrom([]time.Duration{
					time.Microsecond, rules.Lease / 2, rules.Lease, rules.Window / 2, rules.Window,
				}).Draw(t, "by"))
			},
			"abandon": func(*rapid.T) { l.record = l.record.Abandon(l.now) },
			"bury":    func(*rapid.T) { l.record = l.record.Bury(l.now) },
		})
	})
}
