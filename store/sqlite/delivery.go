package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/outbox"
)

var _ delivery.Store = (*Store)(nil)

const (
	endpointColumns = "id, tenant, url, description, types, disabled, generation, former_until, failing_from, created_at, updated_at, version"
	deliveryColumns = "endpoint, tenant, event, type, subject, place, status, attempts, due_at, created_at, done_at, fence, round_from"

	insertEndpoint = "INSERT INTO webhook_endpoints (" + endpointColumns + ", request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	updateEndpoint = `UPDATE webhook_endpoints SET url = ?2, description = ?3, types = ?4, disabled = ?5, generation = ?6, former_until = ?7,
		failing_from = ?8, updated_at = ?9, version = version + 1 WHERE id = ?1 AND version = ?10 AND deleted_at IS NULL`
	deleteEndpoint  = "UPDATE webhook_endpoints SET deleted_at = ?3, version = version + 1 WHERE tenant = ?1 AND id = ?2 AND deleted_at IS NULL"
	selectEndpoint  = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE tenant = ? AND id = ? AND deleted_at IS NULL"
	selectRequested = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE request = ?"
	selectEndpoints = "SELECT " + endpointColumns + ` FROM webhook_endpoints INDEXED BY webhook_endpoints_by_tenant
		WHERE tenant = ?1 AND deleted_at IS NULL AND (?2 = '' OR id < ?2) ORDER BY id DESC`
	countEndpoints = "SELECT count(*) FROM webhook_endpoints WHERE tenant = ? AND deleted_at IS NULL"

	insertDelivery = `INSERT INTO deliveries (endpoint, event, tenant, type, subject, place, status, attempts, round_from, due_at, created_at, fence)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, 1, 0, 0, ?7, ?7, 1 WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = ?1 AND deleted_at IS NULL)
		ON CONFLICT (endpoint, event) DO NOTHING`
	selectDueEndpoints = `SELECT id FROM webhook_endpoints e WHERE id > ?1 AND disabled = '' AND deleted_at IS NULL AND EXISTS (
		SELECT 1 FROM deliveries d WHERE d.endpoint = e.id AND d.due_at <= ?2) ORDER BY id LIMIT ?3`
	selectDueDeliveries = "SELECT " + deliveryColumns + " FROM deliveries WHERE endpoint = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
	selectEvent         = "SELECT " + eventColumns + " FROM events WHERE seq = ?"
	selectSender        = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE id = ? AND disabled = '' AND deleted_at IS NULL"
	finishDelivery      = "UPDATE deliveries SET status = ?4, attempts = attempts + 1, due_at = ?5, done_at = ?6, fence = fence + 1 WHERE endpoint = ?1 AND event = ?2 AND fence = ?3"
	insertAttempt       = "INSERT INTO delivery_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	dropAttempt         = "DELETE FROM delivery_attempts WHERE endpoint = ? AND event = ? AND number <= ?"
	endpointIsWell      = "UPDATE webhook_endpoints SET failing_from = NULL WHERE id = ? AND failing_from IS NOT NULL"
	endpointIsIll       = "UPDATE webhook_endpoints SET failing_from = ?2 WHERE id = ?1 AND failing_from IS NULL"
	disableEndpoint     = "UPDATE webhook_endpoints SET disabled = ?2, updated_at = ?3, version = version + 1 WHERE id = ?1 AND disabled = ''"
	redeliver           = `UPDATE deliveries SET status = 1, round_from = attempts, due_at = ?4, done_at = NULL, fence = fence + 1
		WHERE endpoint = ?1 AND event = ?2 AND tenant = ?3`
	selectStatus = "SELECT event FROM deliveries WHERE endpoint = ?1 AND status = ?2 ORDER BY event LIMIT ?3"
	selectOld    = "SELECT endpoint, event FROM deliveries WHERE done_at < ?1 ORDER BY done_at LIMIT ?2"
	selectOrphan = `SELECT d.endpoint, d.event FROM webhook_endpoints e INDEXED BY webhook_endpoints_deleted JOIN deliveries d ON d.endpoint = e.id
		WHERE e.deleted_at IS NOT NULL LIMIT ?1`
	dropDelivery = "DELETE FROM deliveries WHERE endpoint = ? AND event = ?"
	dropAttempts = "DELETE FROM delivery_attempts WHERE endpoint = ? AND event = ?"
	dropDeleted  = `DELETE FROM webhook_endpoints WHERE id IN (SELECT id FROM webhook_endpoints INDEXED BY webhook_endpoints_deleted WHERE deleted_at IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = webhook_endpoints.id)`
	oldestPending = `SELECT min((SELECT created_at FROM deliveries INDEXED BY deliveries_by_status WHERE endpoint = e.id AND status = 1 ORDER BY event LIMIT 1))
		FROM webhook_endpoints e WHERE disabled = '' AND deleted_at IS NULL`
)

// couriers are who took which delivery. One process owns the file, so they are all in it.
type couriers struct {
	mu    sync.Mutex
	taken map[string]map[string]time.Time // until when, by endpoint and event
}

// take takes a delivery, unless somebody has it.
func (c *couriers) take(endpoint, event string, now time.Time, lease time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until, found := c.taken[endpoint][event]; found && now.Before(until) {
		return false
	}
	if c.taken[endpoint] == nil {
		c.taken[endpoint] = map[string]time.Time{}
	}
	c.taken[endpoint][event] = now.Add(lease)
	return true
}

// at says how many of an endpoint are taken.
func (c *couriers) at(endpoint string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.taken[endpoint])
}

func (c *couriers) letGo(endpoint, event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.taken[endpoint], event); len(c.taken[endpoint]) == 0 {
		delete(c.taken, endpoint)
	}
}

// deliver writes in a commit of its own.
func (s *Store) deliver(doing string, fn func(*writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(fn); err != nil {
		return fmt.Errorf("sqlite: %s: %w", doing, err)
	}
	return nil
}

// run runs a statement that writes, and says how many rows it changed.
func (w *writer) run(sql string, bind func(*stmt)) (int, error) {
	q, err := w.c.stmt(sql)
	if err != nil {
		return 0, err
	}
	bind(q)
	return q.exec()
}

// AddEndpoint is [delivery.Store]'s.
func (s *Store) AddEndpoint(_ context.Context, e delivery.Endpoint, request [32]byte, limit int) (made *delivery.Endpoint, err error) {
	err = s.deliver("make a webhook endpoint", func(w *writer) error {
		q, err := w.c.stmt(selectRequested)
		if err != nil {
			return err
		}
		if q.blob(request[:]); q.next(&err) {
			made = q.columnEndpoint()
			q.reset()
			return nil
		}
		if err != nil {
			return err
		}
		if n, err := lookUp(w.c, countEndpoints, (*stmt).number, e.Tenant); err != nil || int(n) >= limit {
			return errors.Join(err, delivery.ErrTooMany)
		}
		e.CreatedAt = fromMicros(micros(time.Now()))
		e.UpdatedAt, e.Version, made = e.CreatedAt, 1, &e
		_, err = w.run(insertEndpoint, func(q *stmt) {
			q.text(e.ID).text(e.Tenant).text(e.URL).text(e.Description).text(strings.Join(e.Types, " ")).text(string(e.Disabled)).int(e.Generation).
				timeOrNull(e.FormerUntil).timeOrNull(e.FailingFrom).time(e.CreatedAt).time(e.UpdatedAt).int(e.Version).blob(request[:])
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (s *stmt) number() (int64, error) { return s.columnInt(0), nil }

func (s *stmt) endpoint() (*delivery.Endpoint, error) { return s.columnEndpoint(), nil }

// columnEndpoint reads the row as it is.
func (s *stmt) columnEndpoint() *delivery.Endpoint {
	c := columns{stmt: s}
	return &delivery.Endpoint{
		ID: c.text(), Tenant: c.text(), URL: c.text(), Description: c.text(), Types: strings.Fields(c.text()), Disabled: delivery.Reason(c.text()),
		Generation: c.int(), FormerUntil: c.time(), FailingFrom: c.time(), CreatedAt: c.time(), UpdatedAt: c.time(), Version: c.int(),
	}
}

// columnDelivery reads the row as it is.
func (s *stmt) columnDelivery() (w delivery.Work) {
	c := columns{stmt: s}
	w.Delivery = delivery.Delivery{
		Endpoint: c.text(), Tenant: c.text(), Event: c.text(), Type: c.text(), Subject: c.text(), Place: outbox.Position(c.int()),
		Status: delivery.Status(c.int()), Attempts: int(c.int()), DueAt: c.time(), CreatedAt: c.time(), DoneAt: c.time(),
	}
	w.Fence = c.int()
	w.Tries = w.Attempts - int(c.int())
	return w
}

// Endpoint is [delivery.Store]'s.
func (p *pool) Endpoint(ctx context.Context, tenant, id string) (e *delivery.Endpoint, err error) {
	err = p.read(ctx, func(c *conn) error {
		e, err = lookUp(c, selectEndpoint, (*stmt).endpoint, tenant, id)
		return err
	})
	return e, wrap("a webhook endpoint", err)
}

// PutEndpoint is [delivery.Store]'s.
func (s *Store) PutEndpoint(_ context.Context, e *delivery.Endpoint, overlap time.Duration) error {
	now := fromMicros(micros(time.Now()))
	if overlap != 0 {
		e.FormerUntil = now.Add(overlap)
	}
	err := s.deliver("write a webhook endpoint", func(w *writer) error {
		n, err := w.run(updateEndpoint, func(q *stmt) {
			q.text(e.ID).text(e.URL).text(e.Description).text(strings.Join(e.Types, " ")).text(string(e.Disabled)).int(e.Generation).
				timeOrNull(e.FormerUntil).timeOrNull(e.FailingFrom).time(now).int(e.Version)
		})
		if err == nil && n == 0 {
			err = delivery.ErrChanged
		}
		return err
	})
	if err == nil {
		e.UpdatedAt = now
		e.Version++
	}
	return err
}

// DeleteEndpoint is [delivery.Store]'s.
func (s *Store) DeleteEndpoint(_ context.Context, tenant, id string) (found bool, err error) {
	err = s.deliver("delete a webhook endpoint", func(w *writer) error {
		n, err := w.run(deleteEndpoint, func(q *stmt) { q.text(tenant).text(id).time(time.Now()) })
		found = n > 0
		return err
	})
	return found && err == nil, err
}

// EnabledEndpoints is [delivery.Store]'s.
func (p *pool) EnabledEndpoints(ctx context.Context, tenants []string) (all []delivery.Endpoint, err error) {
	err = p.read(ctx, func(c *conn) error {
		for _, tenant := range tenants {
			q, err := c.stmt(selectEndpoints)
			if err != nil {
				return err
			}
			for q.text(tenant).text(""); q.next(&err); {
				if e := q.columnEndpoint(); e.Disabled == "" {
					all = append(all, *e)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, wrap("webhook endpoints", err)
}

// AnyEndpoint is [delivery.Store]'s.
func (p *pool) AnyEndpoint(ctx context.Context) (found bool, err error) {
	err = p.read(ctx, func(c *conn) error {
		n, err := c.integer("SELECT EXISTS (SELECT 1 FROM webhook_endpoints)")
		found = n != 0
		return err
	})
	return found, wrap("whether there are webhook endpoints", err)
}

// AddDeliveries is [delivery.Store]'s.
func (s *Store) AddDeliveries(_ context.Context, all []delivery.Delivery) error {
	now := time.Now()
	return s.deliver("make deliveries", func(w *writer) error {
		for _, d := range all {
			_, err := w.run(insertDelivery, func(q *stmt) {
				q.text(d.Endpoint).text(d.Event).text(d.Tenant).text(d.Type).text(d.Subject).int(int64(d.Place)).time(now)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// DueEndpoints is [delivery.Store]'s.
func (p *pool) DueEndpoints(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = p.read(ctx, func(c *conn) error {
		q, err := c.stmt(selectDueEndpoints)
		if err != nil {
			return err
		}
		for q.text(after).time(time.Now()).int(int64(limit)); q.next(&err); {
			ids = append(ids, q.columnText(0))
		}
		return err
	})
	return ids, wrap("webhook endpoints that something is due for", err)
}

// TakeDue is [delivery.Store]'s. What is taken is due all the same, and passed over.
func (s *Store) TakeDue(ctx context.Context, endpoint string, lease time.Duration, limit int) (works []delivery.Work, err error) {
	now := time.Now()
	err = s.read(ctx, func(c *conn) error {
		e, err := lookUp(c, selectSender, (*stmt).endpoint, endpoint)
		if err != nil || e == nil {
			return err
		}
		q, err := c.stmt(selectDueDeliveries)
		if err != nil {
			return err
		}
		q.text(endpoint).time(now).int(int64(limit + s.couriers.at(endpoint)))
		for len(works) < limit && q.next(&err) {
			if w := q.columnDelivery(); s.couriers.take(endpoint, w.Event, now, lease) {
				works = append(works, sentBy(w, e, now))
			}
		}
		q.reset()
		for i := 0; i < len(works) && err == nil; i++ {
			err = c.readEvent(&works[i])
		}
		return err
	})
	if err != nil {
		for _, w := range works {
			s.couriers.letGo(endpoint, w.Event)
		}
		return nil, wrap("deliveries that are due", err)
	}
	return works, nil
}

// sentBy fills in what work has of its endpoint.
func sentBy(w delivery.Work, e *delivery.Endpoint, now time.Time) delivery.Work {
	w.URL, w.Generation, w.Former = e.URL, e.Generation, now.Before(e.FormerUntil)
	if !e.FailingFrom.IsZero() {
		w.FailingFor = now.Sub(e.FailingFrom)
	}
	return w
}

func (c *conn) readEvent(w *delivery.Work) error {
	q, err := c.stmt(selectEvent)
	if err != nil {
		return err
	}
	if q.int(int64(w.Place)); !q.next(&err) {
		return errors.Join(err, fmt.Errorf("there is no event %s at %d", w.Event, w.Place))
	}
	w.OutboxEvent = q.columnEvent()
	w.OutboxEvent.Data = q.columnBytes(6)
	q.reset()
	return nil
}

// Finish is [delivery.Store]'s.
func (s *Store) Finish(_ context.Context, all []delivery.Done) error {
	now := time.Now()
	err := s.deliver("write what came of deliveries", func(w *writer) error {
		for _, d := range all {
			if err := w.finish(d, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // they are due again when their lease is over: not at once, or a full disk would have them sent without end
		return err
	}
	for _, d := range all {
		s.couriers.letGo(d.Endpoint, d.Event)
	}
	return nil
}

func (w *writer) finish(d delivery.Done, now time.Time) error {
	n, err := w.run(finishDelivery, func(q *stmt) {
		q.text(d.Endpoint).text(d.Event).int(d.Fence).int(int64(d.Next.Status))
		if d.Next.Status == delivery.Pending {
			q.time(now.Add(d.After)).null()
		} else {
			q.null().time(now)
		}
	})
	if err != nil || n == 0 { // it is somebody else's
		return err
	}
	if _, err := w.run(insertAttempt, func(q *stmt) {
		q.text(d.Endpoint).text(d.Event).int(int64(d.Number)).time(d.At).int(d.Took.Microseconds()).int(int64(d.Attempt.Status)).text(d.Error).text(d.Answer)
	}); err != nil {
		return err
	}
	if _, err := w.run(dropAttempt, func(q *stmt) { q.text(d.Endpoint).text(d.Event).int(int64(d.Number - delivery.MaxAttempts)) }); err != nil {
		return err
	}
	if d.Next.Status == delivery.Delivered {
		_, err = w.run(endpointIsWell, func(q *stmt) { q.text(d.Endpoint) })
		return err
	}
	if _, err := w.run(endpointIsIll, func(q *stmt) { q.text(d.Endpoint).time(now) }); err != nil {
		return err
	}
	if d.Disable != "" {
		_, err = w.run(disableEndpoint, func(q *stmt) { q.text(d.Endpoint).text(string(d.Disable)).time(now) })
	}
	return err
}

// Redeliver is [delivery.Store]'s.
func (s *Store) Redeliver(_ context.Context, tenant, endpoint, event string) (found bool, err error) {
	err = s.deliver("make a delivery again", func(w *writer) error {
		n, err := w.run(redeliver, func(q *stmt) { q.text(endpoint).text(event).text(tenant).time(time.Now()) })
		found = n > 0
		return err
	})
	s.couriers.letGo(endpoint, event)
	return found && err == nil, err
}

// RedeliverDead is [delivery.Store]'s.
func (s *Store) RedeliverDead(_ context.Context, tenant, endpoint string, limit int) (n int, err error) {
	err = s.deliver("make dead deliveries again", func(w *writer) error {
		q, err := w.c.stmt(selectStatus)
		if err != nil {
			return err
		}
		var events []string
		for q.text(endpoint).int(int64(delivery.Dead)).int(int64(limit)); q.next(&err); {
			events = append(events, q.columnText(0))
		}
		for _, event := range events {
			changed, err := w.run(redeliver, func(q *stmt) { q.text(endpoint).text(event).text(tenant).time(time.Now()) })
			if err != nil {
				return err
			}
			n += changed
		}
		return err
	})
	return n, err
}

// Prune is [delivery.Store]'s.
func (s *Store) Prune(_ context.Context, keep time.Duration, limit int) (n int, err error) {
	type name struct{ endpoint, event string }
	err = s.deliver("forget deliveries", func(w *writer) error {
		var names []name
		collect := func(sql string, bind func(*stmt)) error {
			q, err := w.c.stmt(sql)
			if err != nil {
				return err
			}
			for bind(q); q.next(&err); {
				names = append(names, name{q.columnText(0), q.columnText(1)})
			}
			return err
		}
		err := errors.Join(
			collect(selectOld, func(q *stmt) { q.time(time.Now().Add(-keep)).int(int64(limit)) }),
			collect(selectOrphan, func(q *stmt) { q.int(int64(max(0, limit-len(names)))) }))
		for i := 0; i < len(names) && err == nil; i++ {
			bind := func(q *stmt) { q.text(names[i].endpoint).text(names[i].event) }
			if _, err = w.run(dropAttempts, bind); err == nil {
				_, err = w.run(dropDelivery, bind)
			}
		}
		if err == nil {
			_, err = w.run(dropDeleted, func(*stmt) {})
		}
		n = len(names)
		return err
	})
	return n, err
}

// OldestPending is [delivery.Store]'s.
func (p *pool) OldestPending(ctx context.Context) (at time.Time, err error) {
	err = p.read(ctx, func(c *conn) error {
		n, err := c.integer(oldestPending)
		at = fromMicros(n)
		return err
	})
	return at, wrap("the oldest delivery", err)
}
