package bench

import (
	"bytes"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
)

// Limits of what a run remembers.
const (
	maxKept    = 1 << 20 // outcomes of 16 bytes; past them every second one is forgotten, again and again
	maxUnknown = 100_000 // a server that loses more has no figures worth waiting for
)

// errTooManyUnknown ends a run early.
var errTooManyUnknown = errors.New("bench: gave up: more than 100,000 requests have an unknown outcome")

// outcomes is what the server must still know when the run is over. It keeps
// no keys and no answers: a plan recomputes the first, a hash stands for the
// second. Safe for concurrent use.
type outcomes struct {
	seed maphash.Seed
	plan *plan

	mu      sync.Mutex
	posted  []int64 // by account: what the acknowledged transfers add up to
	acked   uint64  // how many those are
	kept    []outcome
	every   uint64   // one in so many is kept
	unknown []uint64 // indexes
}

// An outcome is an acknowledged transfer. Two answers with one digest are the
// same bytes, but for one chance in 2^64 that no server can aim at.
type outcome struct{ index, digest uint64 }

func newOutcomes(p *plan) *outcomes {
	return &outcomes{seed: maphash.MakeSeed(), plan: p, posted: make([]int64, p.accounts), every: 1}
}

// digest stands for an answer's bytes. An item of a batch has no line end where
// the same answer alone may have one.
func (o *outcomes) digest(index uint64, body []byte) uint64 {
	if o.plan.batched(index) {
		body = bytes.TrimSpace(body)
	}
	return maphash.Bytes(o.seed, body)
}

// acknowledge books a transfer that was answered 201 with body.
func (o *outcomes) acknowledge(index uint64, body []byte) {
	t, digest := o.plan.transfer(index), o.digest(index, body)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.posted[t.from] -= t.amount
	o.posted[t.to] += t.amount
	if o.acked++; len(o.kept) == maxKept {
		o.thin()
	}
	if o.acked%o.every == 0 {
		o.kept = append(o.kept, outcome{index, digest})
	}
}

// thin forgets every second outcome, so that the sample stays spread over the
// whole run.
func (o *outcomes) thin() {
	for i := range o.kept[:maxKept/2] {
		o.kept[i] = o.kept[2*i+1]
	}
	o.kept = o.kept[:maxKept/2]
	o.every *= 2
}

// doubt notes that nobody knows what became of a transfer.
func (o *outcomes) doubt(index uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unknown) == maxUnknown {
		return errTooManyUnknown
	}
	o.unknown = append(o.unknown, index)
	return nil
}

// pick returns one of the kept outcomes; a plan with duplicates is primed, so
// that there is one.
func (o *outcomes) pick(luck uint64) outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept[luck%uint64(len(o.kept))]
}

// sample returns at most limit of the kept outcomes, evenly spread.
func (o *outcomes) sample(limit int) []outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	step := max(1, (len(o.kept)+limit-1)/limit)
	var some []outcome
	for chunk := range slices.Chunk(o.kept, step) {
		some = append(some, chunk[0])
	}
	return some
}
