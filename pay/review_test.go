package pay_test

import (
	"strings"
	"testing"
)

// A human is called for by the command that made it necessary, with the reason, and
// once: what says the same again, or more of it, calls for nobody.
func TestAReviewIsCalledForOnce(t *testing.T) {
	const (
		silent        = "the gateway could not say what became of it"
		contradictory = "the gateway contradicts itself"
	)
	for way, want := range map[string]string{
		"needs_review":                             "charge: " + silent,
		"needs_review, an authorization":           "authorize: " + silent,
		"needs_review, while a capture is at work": "authorize: " + contradictory,
		"needs_review, declined and charged":       "charge: " + contradictory,
		"needs_review, given up and charged":       "the payment was given up and charged",
		"succeeded, a refund that needs a review":  "refund: " + silent,
		"succeeded, a refund in doubt":             "",
		"processing, in doubt":                     "",
		"authorized, a void declined":              "",
		"failed":                                   "",
	} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(prompt)
			p := ways[way](t, w)
			for range 2 {
				w.check(t, p, "", silence)
			}
			if got := strings.Join(w.reviews, "; "); got != want {
				t.Errorf("called for because of %q, want %q", got, want)
			}
			if got := w.at(p).Review(); got != want {
				t.Errorf("it needs a review because of %q, want %q", got, want)
			}
		})
	}
}

// A payment that a decision leaves in review tells why.
func TestWhyAPaymentIsStillInReview(t *testing.T) {
	w := newWorld(prompt)
	p := ways["needs_review, too much captured"](t, w)
	wantStrings(t, "reviews", []string{"capture: the gateway contradicts itself"}, w.reviews)
	if got := w.at(p).Review(); got != "more was captured than the payment is about" {
		t.Errorf("it needs a review because of %q", got)
	}
}

// What a human decided is called for again when the gateway contradicts it; a
// notice that is evidence calls for a human like a check.
func TestAReviewIsCalledForAgain(t *testing.T) {
	w := newWorld(blind)
	p := w.succeeded(t)
	w.do(t, w.notice(p, "evt_1", done(90)))
	w.do(t, w.resolve(p, true))
	w.do(t, w.notice(p, "evt_2", declined))
	w.do(t, w.notice(p, "evt_3", declined))
	wantStrings(t, "reviews", []string{"charge: the gateway contradicts itself", "charge: the gateway contradicts what was decided"}, w.reviews)
}

// Each operation that a human must decide is called for, also if another one of the
// payment was before.
func TestEachOperationIsCalledFor(t *testing.T) {
	w := newWorld(prompt)
	p := w.succeeded(t)
	for range 2 {
		inReview(40)(t, w, p)
	}
	why := "refund: the gateway could not say what became of it"
	wantStrings(t, "reviews", []string{why, why}, w.reviews)
}
