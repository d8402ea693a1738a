// Package fair has a queue that takes one of each tenant in turn: a tenant's burst delays
// only what is its own.
package fair

import "slices"

// Queue holds items in the order in which each tenant's came. Make one with [New]. It is not
// safe for concurrent use.
type Queue[T any] struct {
	tenantOf func(T) string
	lanes    map[string]*lane[T]
	ring     []*lane[T] // tenants that have items, in the order of their turns
	size     int
}

type lane[T any] struct {
	tenant string
	items  []T
}

// New makes a queue. tenantOf says whose an item is.
func New[T any](tenantOf func(T) string) Queue[T] {
	return Queue[T]{tenantOf: tenantOf, lanes: map[string]*lane[T]{}}
}

// Len returns how many items are in the queue.
func (q *Queue[T]) Len() int { return q.size }

// Of returns how many of them are a tenant's.
func (q *Queue[T]) Of(tenant string) int {
	if l, ok := q.lanes[tenant]; ok {
		return len(l.items)
	}
	return 0
}

// Push puts an item last of its tenant.
func (q *Queue[T]) Push(item T) {
	l := q.lane(item)
	l.items = append(l.items, item)
	q.size++
}

// PutBack makes an item that was taken the first of its tenant again.
func (q *Queue[T]) PutBack(item T) {
	l := q.lane(item)
	l.items = slices.Insert(l.items, 0, item)
	q.size++
}

// lane returns the lane of an item's tenant; a new one has its turn after all others.
func (q *Queue[T]) lane(item T) *lane[T] {
	tenant := q.tenantOf(item)
	l, ok := q.lanes[tenant]
	if !ok {
		l = &lane[T]{tenant: tenant}
		q.lanes[tenant] = l
		q.ring = append(q.ring, l)
	}
	return l
}

// Pop takes the next item; the queue must not be empty. Who has more goes behind all
// others, like who comes anew.
func (q *Queue[T]) Pop() T {
	var none T
	l := q.ring[0]
	q.ring[0] = nil
	q.ring = q.ring[1:]
	item := l.items[0]
	l.items[0] = none // nothing keeps what was taken
	l.items = l.items[1:]
	q.size--
	if len(l.items) > 0 {
		q.ring = append(q.ring, l)
	} else {
		delete(q.lanes, l.tenant)
	}
	return item
}
