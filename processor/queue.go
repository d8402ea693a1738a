package processor

import (
	"github.com/oncepay/oncepay/internal/fair"
	"github.com/oncepay/oncepay/pay"
)

// dueQueue is what is due, one of each tenant in turn: a tenant's backlog delays only its
// own payments.
type dueQueue struct {
	fair.Queue[pay.Due]
	wake chan struct{} // it has something
}

func newDueQueue() dueQueue {
	return dueQueue{fair.New(func(x pay.Due) string { return x.Tenant }), make(chan struct{}, 1)}
}

// rouse wakes who attends the queue if it has something.
func (q *dueQueue) rouse() {
	if q.Len() > 0 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}
