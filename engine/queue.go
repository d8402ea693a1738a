package engine

import "slices"

// fairQueue holds jobs in the order in which each tenant sent them, and takes
// one of each tenant in turn: a tenant's burst delays only its own requests.
type fairQueue struct {
	lanes map[string]*lane
	ring  []*lane // tenants with jobs, in the order of their turns
	size  int
}

type lane struct {
	tenant string
	jobs   []*Job
}

func newFairQueue() fairQueue { return fairQueue{lanes: map[string]*lane{}} }

// of returns how many jobs a tenant has in the queue.
func (q *fairQueue) of(tenant string) int {
	if l, ok := q.lanes[tenant]; ok {
		return len(l.jobs)
	}
	return 0
}

func (q *fairQueue) push(j *Job) {
	l := q.lane(j.Tenant)
	l.jobs = append(l.jobs, j)
	q.size++
}

// putBack makes a job that was taken the first of its tenant again.
func (q *fairQueue) putBack(j *Job) {
	l := q.lane(j.Tenant)
	l.jobs = slices.Insert(l.jobs, 0, j)
	q.size++
}

// lane returns a tenant's lane; a new one has its turn after all others.
func (q *fairQueue) lane(tenant string) *lane {
	l, ok := q.lanes[tenant]
	if !ok {
		l = &lane{tenant: tenant}
		q.lanes[tenant] = l
		q.ring = append(q.ring, l)
	}
	return l
}

// pop takes the next job; the queue must not be empty. Who has more goes behind
// all others, like who comes anew.
func (q *fairQueue) pop() *Job {
	l := q.ring[0]
	q.ring[0] = nil
	q.ring = q.ring[1:]
	j := l.jobs[0]
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	q.size--
	if len(l.jobs) > 0 {
		q.ring = append(q.ring, l)
	} else {
		delete(q.lanes, l.tenant)
	}
	return j
}
