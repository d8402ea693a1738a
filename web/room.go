package web

import "sync/atomic"

// room is a number of bytes that requests take their part of and give it back.
// It is safe for concurrent use.
type room struct {
	size int64
	used atomic.Int64
}

// take takes n bytes, or none if there are not that many left.
func (r *room) take(n int64) bool {
	for {
		used := r.used.Load()
		if n > r.size-used {
			return false
		}
		if r.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (r *room) give(n int64) { r.used.Add(-n) }

// rooms are where the request's body takes its place: in its tenant's part and
// in everybody's. Webhooks, which nobody has vouched for yet, have a room of their
// own.
func (x *exchange) rooms() (own, all *room) {
	if x.caller.tenant == nil {
		return &room{size: MaxNotice}, &x.api.notices
	}
	return &x.caller.tenant.bodies, &x.api.bodies
}

// takeRoom takes n more bytes of room for the request's body, but for those that
// take none.
func (x *exchange) takeRoom(n int64) bool {
	free := min(n, x.free)
	n -= free
	own, all := x.rooms()
	if !own.take(n) {
		return false
	}
	if !all.take(n) {
		own.give(n)
		return false
	}
	x.room += n
	x.free -= free
	return true
}

// leaveRoom gives back what the request has taken.
func (x *exchange) leaveRoom() {
	if x.room > 0 {
		own, all := x.rooms()
		own.give(x.room)
		all.give(x.room)
		x.room = 0
	}
}
