package processor

import "github.com/oncepay/oncepay/pay"

// fairQueue holds what is due in the order in which each tenant's came, and takes
// one of each tenant in turn: a tenant's backlog delays only its own payments.
type fairQueue struct {
	lanes map[string]*lane
	ring  []*lane // tenants that have something, in the order of their turns
	size  int
	wake  chan struct{} // it has something
}

type lane struct {
	tenant string
	due    []pay.Due
}

func newFairQueue() fairQueue {
	return fairQueue{lanes: map[string]*lane{}, wake: make(chan struct{}, 1)}
}

// rouse wakes who attends the queue if it has something.
func (q *fairQueue) rouse() {
	if q.size > 0 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// push puts something last of its tenant; a new tenant has its turn after all
// others.
func (q *fairQueue) push(x pay.Due) {
	l := q.lanes[x.Tenant]
	if l == nil {
		l = &lane{tenant: x.Tenant}
		q.lanes[x.Tenant] = l
		q.ring = append(q.ring, l)
	}
	l.due = append(l.due, x)
	q.size++
}

// pop takes the next; the queue must not be empty.
func (q *fairQueue) pop() pay.Due {
	l := q.ring[0]
	q.ring[0] = nil
	q.ring = q.ring[1:]
	x := l.due[0]
	l.due[0] = pay.Due{}
	l.due = l.due[1:]
	q.size--
	if len(l.due) > 0 {
		q.ring = append(q.ring, l)
	} else {
		delete(q.lanes, l.tenant)
	}
	return x
}
