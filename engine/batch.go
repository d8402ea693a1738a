package engine

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// batch is jobs that are loaded, decided and committed together: the working
// set of one commit.
type batch struct {
	jobs  []*Job
	first []*Job // jobs whose rows have not come yet: they may name more
	tries int    // races that were lost
	wrong int    // defects that were not believed; see isolate

	book   *pay.Book
	orders []*pay.Order // to be carried out once the batch is durable

	outcomes []Outcome // of each job
	changes  *Changes  // once it is decided
}

func newBatch() *batch { return &batch{book: pay.NewBook()} }

// add takes a job in, and names what it needs.
func (b *batch) add(j *Job) {
	b.jobs = append(b.jobs, j)
	b.first = append(b.first, j)
	if j.keyed() {
		b.book.WantKey(j.Request.Key)
	}
	j.needs(b.book)
}

// pause is how long it waits at most before it is loaded again: long enough that
// two who lost to each other come apart, short enough that whoever lost is no
// later than who won.
func (b *batch) pause() time.Duration {
	return min(time.Duration(b.tries)*time.Millisecond, maxPause)
}

const (
	maxPause  = 5 * time.Millisecond // about a commit
	holdAfter = 2                    // races that a batch has lost when it asks for its rows to be held
)

// needs names the rows of a job's command.
func (j *Job) needs(b *pay.Book) {
	if j.Payment != nil {
		j.Payment.Needs(b)
	} else {
		j.Command.Needs(b.Book)
	}
}

// key is what is known of a job's key.
func (b *batch) key(j *Job) once.Record { return b.book.Key(j.Request.Key) }

// fill takes in what was loaded. The jobs that asked may name more, now that
// they see their rows: that is the second round, and there is no third. fill
// returns those jobs.
func (b *batch) fill(rows Rows) (asked []*Job) {
	rows.PutInto(b.book)
	for _, j := range b.first {
		j.needs(b.book)
	}
	asked, b.first = b.first, nil
	return asked
}

// drop takes jobs out that are settled.
func (b *batch) drop(settled []*Job) {
	if len(settled) > 0 {
		b.jobs = slices.DeleteFunc(b.jobs, func(j *Job) bool { return slices.Contains(settled, j) })
	}
}

// complete writes a final answer under its key. A key whose work took long is
// kept for a whole window from now on: nobody has seen its answer yet.
func (b *batch) complete(claim once.Record, resource string, a once.Answer, until time.Time) {
	done, err := claim.Complete(claim.Attempt, resource, a)
	if err != nil {
		panic(fmt.Sprintf("engine: a claim that nobody else saw was fenced: %v", err))
	}
	if until.After(done.ExpiresAt) {
		done.ExpiresAt = until
	}
	b.book.WriteKey(done)
}

// witnesses names the rows by which it can be told whether b was committed.
func (b *batch) witnesses() *Need {
	n := &Need{}
	for _, r := range b.changes.Keys {
		n.Keys = append(n.Keys, r.Key)
	}
	for _, p := range b.changes.Payments.Payments {
		n.Payments.Payments = append(n.Payments.Payments, p.Ref)
	}
	return n
}

// committed says whether b was committed, given what is now of its witnesses. A
// commit is one, so all of them must be there and be its own: one alone could be
// that of a refusal which somebody else came to in that very moment, since a
// refusal names no resource. A batch without any is taken as not committed: its
// commands are idempotent by themselves.
func (b *batch) committed(found Rows) bool {
	for _, r := range found.Keys {
		ours := b.book.Key(r.Key)
		if r.State != ours.State || r.Version != ours.Version || r.Resource != ours.Resource || r.Attempt != ours.Attempt ||
			!r.CreatedAt.Equal(ours.CreatedAt) || r.Fingerprint != ours.Fingerprint || !bytes.Equal(r.Answer.Body, ours.Answer.Body) {
			return false
		}
	}
	versions := map[pay.Ref]int64{}
	for _, p := range found.Payments {
		versions[p.Ref] = p.Version
	}
	for _, p := range b.changes.Payments.Payments {
		if versions[p.Ref] != p.Version {
			return false
		}
	}
	return len(found.Keys) == len(b.changes.Keys) && len(found.Keys)+len(found.Payments) > 0
}
