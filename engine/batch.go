package engine

import (
	"fmt"
	"slices"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// batch is jobs that are loaded, decided and committed together: the working
// set of one commit.
type batch struct {
	jobs  []*Job
	first []*Job // jobs whose rows have not come yet: they may name more
	tries int

	book *ledger.Book
	keys map[once.Key]once.Record // what is known of each key: absent if not loaded
	want []once.Key               // keys to be loaded

	written  []once.Record
	outcomes []Outcome // of each job
	changes  *Changes  // once it is decided
}

func newBatch() *batch {
	return &batch{book: ledger.NewBook(), keys: map[once.Key]once.Record{}}
}

// add takes a job in, and names what it needs.
func (b *batch) add(j *Job) {
	b.jobs = append(b.jobs, j)
	b.first = append(b.first, j)
	if j.keyed() {
		b.keys[j.Request.Key] = once.Record{Key: j.Request.Key}
		b.want = append(b.want, j.Request.Key)
	}
	j.Command.Needs(b.book)
}

// need returns what is to be loaded and was not asked for yet.
func (b *batch) need() Need {
	n := Need{Keys: b.want, Rows: b.book.Wanted()}
	b.want = nil
	return n
}

// fill takes in what was loaded. The jobs that asked may name more, now that
// they see their rows: that is the second round, and there is no third. fill
// returns those jobs.
func (b *batch) fill(rows Rows) (asked []*Job) {
	for _, r := range rows.Keys {
		b.keys[r.Key] = r
	}
	for _, a := range rows.Accounts {
		b.book.PutAccount(a)
	}
	for _, t := range rows.Transfers {
		b.book.PutTransfer(t)
	}
	for _, j := range b.first {
		j.Command.Needs(b.book)
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

// complete writes a final answer under its key.
func (b *batch) complete(claim once.Record, resource string, a once.Answer) {
	done, err := claim.Complete(claim.Attempt, resource, a)
	if err != nil {
		panic(fmt.Sprintf("engine: a claim that nobody else saw was fenced: %v", err))
	}
	b.keys[done.Key] = done
	b.written = append(b.written, done)
}

// witnesses names the keys by which it can be told whether b was committed.
func (b *batch) witnesses() *Need {
	n := &Need{}
	for _, r := range b.written {
		n.Keys = append(n.Keys, r.Key)
	}
	return n
}

// committed says whether b was committed, given what is now under its keys. A
// commit is one, so all of them must be there and be its own: one alone could be
// that of a refusal which somebody else came to in that very moment, since a
// refusal names no resource. A batch without keys is taken as not committed: its
// commands are idempotent by themselves.
func (b *batch) committed(found []once.Record) bool {
	for _, r := range found {
		ours := b.keys[r.Key]
		if r.Resource != ours.Resource || r.Attempt != ours.Attempt || !r.CreatedAt.Equal(ours.CreatedAt) || r.Fingerprint != ours.Fingerprint {
			return false
		}
	}
	return len(found) == len(b.written) && len(found) > 0
}
