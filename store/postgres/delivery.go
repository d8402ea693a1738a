package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/outbox"
)

var _ delivery.Store = (*Store)(nil)

const (
	endpointColumns = "id, tenant, url, description, types, disabled, generation, former_until, failing_from, created_at, updated_at, version"
	deliveryColumns = `d.endpoint, d.tenant, d.event, d.type, d.subject, d.place, d.status, d.attempts, d.due_at, d.created_at, d.done_at,
		d.fence, d.round_from`

	// Of requests that come at once, each counts what the others have made.
	lockTenant     = "SELECT pg_advisory_xact_lock(7620941, hashtext($1))"
	insertEndpoint = "INSERT INTO webhook_endpoints (" + endpointColumns + `, request) SELECT $1, $2, $3, $4, $5, $6, $7, NULL, NULL, n, n, 1, $8
		FROM (SELECT ` + selectNow + ` AS n) now WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant = $2 AND deleted_at IS NULL) < $9
		ON CONFLICT (request) DO NOTHING`
	selectRequested = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE request = $1"
	updateEndpoint  = `UPDATE webhook_endpoints SET url = $3, description = $4, types = $5, disabled = $6, generation = $7, updated_at = ` + selectNow + `,
		former_until = CASE WHEN $9::bigint = 0 THEN $8::bigint ELSE ` + selectNow + ` + $9::bigint END, failing_from = $10, version = version + 1
		WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING ` + endpointColumns
	deleteEndpoint = "UPDATE webhook_endpoints SET deleted_at = " + selectNow + ", version = version + 1 WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL RETURNING 1"
	selectEndpoint = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE tenant = $1 AND id = $2 AND deleted_at IS NULL"
	selectEnabled  = "SELECT " + endpointColumns + " FROM webhook_endpoints WHERE tenant = ANY ($1) AND disabled = '' AND deleted_at IS NULL ORDER BY tenant, id DESC"
	insertDelivery = `INSERT INTO deliveries (endpoint, event, tenant, type, subject, place, status, attempts, round_from, due_at, created_at, fence)
		SELECT r.endpoint, r.event, r.tenant, r.type, r.subject, r.place, 1, 0, 0, n, n, 1 FROM (SELECT ` + selectNow + ` AS n) now,
			unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) r (endpoint, event, tenant, type, subject, place)
		WHERE EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = r.endpoint AND e.deleted_at IS NULL)
		ORDER BY 1, 2 ON CONFLICT (endpoint, event) DO NOTHING`
	selectDueEndpoints = `SELECT id FROM webhook_endpoints e WHERE id > $1 AND disabled = '' AND deleted_at IS NULL
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint = e.id AND d.due_at <= ` + selectNow + `) ORDER BY id LIMIT $2`
	takeDue = `WITH due AS (SELECT endpoint, event FROM deliveries WHERE endpoint = $1 AND due_at <= ` + selectNow + `
			AND EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = $1 AND disabled = '' AND deleted_at IS NULL)
			ORDER BY endpoint, due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED),
		d AS (UPDATE deliveries t SET due_at = ` + selectNow + ` + $3, fence = fence + 1 FROM due WHERE t.endpoint = due.endpoint AND t.event = due.event RETURNING t.*)
		SELECT ` + deliveryColumns + `, e.url, e.generation, (e.former_until IS NOT NULL AND e.former_until > ` + selectNow + `)::int,
			coalesce(` + selectNow + ` - e.failing_from, 0), o.data, o.tenant, o.id, o.type, o.subject, o.at
		FROM d JOIN webhook_endpoints e ON e.id = d.endpoint JOIN events o ON o.seq = d.place ORDER BY d.event`
	finishDelivery = `WITH done AS (UPDATE deliveries SET status = $4::bigint, attempts = attempts + 1, fence = fence + 1,
			due_at = CASE WHEN $4::bigint = 1 THEN ` + selectNow + ` + $5::bigint END, done_at = CASE WHEN $4::bigint <> 1 THEN ` + selectNow + ` END
			WHERE endpoint = $1::text AND event = $2::text AND fence = $3 RETURNING 1)
		INSERT INTO delivery_attempts (endpoint, event, number, at, took, status, error, answer) SELECT $1::text, $2::text, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::text, $11::text FROM done ON CONFLICT DO NOTHING`
	dropAttempt = "DELETE FROM delivery_attempts WHERE endpoint = $1 AND event = $2 AND number <= $3"

	// It is said of attempts that were written, and not of those of somebody who was late.
	wasWritten      = "EXISTS (SELECT 1 FROM delivery_attempts WHERE endpoint = $1 AND event = $2 AND number = $3)"
	endpointIsWell  = "UPDATE webhook_endpoints SET failing_from = NULL WHERE id = $1 AND failing_from IS NOT NULL AND " + wasWritten
	endpointIsIll   = "UPDATE webhook_endpoints SET failing_from = " + selectNow + " WHERE id = $1 AND failing_from IS NULL AND " + wasWritten
	disableEndpoint = "UPDATE webhook_endpoints SET disabled = $4, updated_at = " + selectNow + ", version = version + 1 WHERE id = $1 AND disabled = '' AND " + wasWritten

	redeliver = `UPDATE deliveries SET status = 1, round_from = attempts, due_at = ` + selectNow + `, done_at = NULL, fence = fence + 1
		WHERE endpoint = $1 AND event = $2 AND tenant = $3 RETURNING 1`
	redeliverDead = `WITH dead AS (SELECT endpoint, event FROM deliveries WHERE endpoint = $1 AND status = 3 AND tenant = $2
			ORDER BY endpoint, status, event LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
		UPDATE deliveries t SET status = 1, round_from = attempts, due_at = ` + selectNow + `, done_at = NULL, fence = fence + 1
		FROM dead WHERE t.endpoint = dead.endpoint AND t.event = dead.event RETURNING 1`

	// Who prunes at once passes over what the other one has.
	prune = `WITH old AS (SELECT endpoint, event FROM deliveries WHERE done_at < ` + selectNow + ` - $1 ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED),
		orphans AS (SELECT d.endpoint, d.event FROM webhook_endpoints e JOIN deliveries d ON d.endpoint = e.id WHERE e.deleted_at IS NOT NULL
			LIMIT $2 - (SELECT count(*) FROM old) FOR UPDATE OF d SKIP LOCKED),
		names AS (SELECT * FROM old UNION SELECT * FROM orphans),
		a AS (DELETE FROM delivery_attempts t USING names n WHERE t.endpoint = n.endpoint AND t.event = n.event)
		DELETE FROM deliveries t USING names n WHERE t.endpoint = n.endpoint AND t.event = n.event RETURNING 1`
	dropDeleted   = "DELETE FROM webhook_endpoints e WHERE deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint = e.id)"
	oldestPending = `SELECT coalesce(min(o.at), 0) FROM webhook_endpoints e CROSS JOIN LATERAL
			(SELECT created_at AS at FROM deliveries WHERE endpoint = e.id AND status = 1 ORDER BY endpoint, status, event LIMIT 1) o
		WHERE e.disabled = '' AND e.deleted_at IS NULL`
)

// endpoint reads the row as it is.
func (r *row) endpoint() *delivery.Endpoint {
	return &delivery.Endpoint{
		ID: r.text(), Tenant: r.text(), URL: r.text(), Description: r.text(), Types: strings.Fields(r.text()), Disabled: delivery.Reason(r.text()),
		Generation: r.int(), FormerUntil: r.time(), FailingFrom: r.time(), CreatedAt: r.time(), UpdatedAt: r.time(), Version: r.int(),
	}
}

// delivery reads the row as it is.
func (r *row) delivery() (w delivery.Work) {
	w.Delivery = delivery.Delivery{
		Endpoint: r.text(), Tenant: r.text(), Event: r.text(), Type: r.text(), Subject: r.text(), Place: outbox.Position(r.int()),
		Status: delivery.Status(r.int()), Attempts: int(r.int()), DueAt: r.time(), CreatedAt: r.time(), DoneAt: r.time(),
	}
	w.Fence = r.int()
	w.Tries = w.Attempts - int(r.int())
	return w
}

// AddEndpoint is [delivery.Store]'s.
func (s *Store) AddEndpoint(ctx context.Context, e delivery.Endpoint, request [32]byte, limit int) (made *delivery.Endpoint, err error) {
	err = s.together(ctx, func(b *pgx.Batch) {
		b.Queue(lockTenant, writeText(e.Tenant))
		b.Queue(insertEndpoint, writeText(e.ID), writeText(e.Tenant), writeText(e.URL), writeText(e.Description), strings.Join(e.Types, " "), string(e.Disabled),
			e.Generation, request[:], limit)
		b.Queue(selectRequested, request[:]).Query(readInto(func(r *row) { made = r.endpoint() }))
	})
	if err == nil && made == nil {
		return nil, delivery.ErrTooMany
	}
	return made, wrap("a webhook endpoint", err)
}

// Endpoint is [delivery.Store]'s.
func (p *pool) Endpoint(ctx context.Context, tenant, id string) (*delivery.Endpoint, error) {
	e, _, err := queryOne(ctx, p, selectEndpoint, []any{writeText(tenant), writeText(id)}, (*row).endpoint)
	return e, wrap("a webhook endpoint", err)
}

// PutEndpoint is [delivery.Store]'s.
func (s *Store) PutEndpoint(ctx context.Context, e *delivery.Endpoint, overlap time.Duration) error {
	var written *delivery.Endpoint
	args := []any{writeText(e.ID), e.Version, writeText(e.URL), writeText(e.Description), strings.Join(e.Types, " "), string(e.Disabled), e.Generation,
		timeOrNull(e.FormerUntil), overlap.Microseconds(), timeOrNull(e.FailingFrom)}
	err := s.fenced(ctx, updateEndpoint, args, func(r *row) { written = r.endpoint() })
	switch {
	case err != nil:
		return wrap("a webhook endpoint", err)
	case written == nil:
		return delivery.ErrChanged
	}
	*e = *written
	return nil
}

func timeOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(micros(t))
}

// changes runs a statement that returns a row for each that it changes, and says how many.
func (s *Store) changes(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.fenced(ctx, sql, args, func(*row) { n++ })
	return n, wrap("deliveries", err)
}

// DeleteEndpoint is [delivery.Store]'s.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant, id string) (bool, error) {
	n, err := s.changes(ctx, deleteEndpoint, writeText(tenant), writeText(id))
	return n > 0, err
}

// EnabledEndpoints is [delivery.Store]'s. It is asked on the server whose past is known, like
// the events that it is asked for.
func (s *Store) EnabledEndpoints(ctx context.Context, tenants []string) (all []delivery.Endpoint, err error) {
	var names []string
	for _, t := range tenants {
		names = append(names, writeText(t))
	}
	err = s.fenced(ctx, selectEnabled, []any{names}, func(r *row) { all = append(all, *r.endpoint()) })
	return all, wrap("webhook endpoints", err)
}

// AnyEndpoint is [delivery.Store]'s.
func (s *Store) AnyEndpoint(ctx context.Context) (found bool, err error) {
	err = s.fenced(ctx, "SELECT 1 FROM webhook_endpoints LIMIT 1", nil, func(*row) { found = true })
	return found, wrap("whether there are webhook endpoints", err)
}

// AddDeliveries is [delivery.Store]'s.
func (s *Store) AddDeliveries(ctx context.Context, all []delivery.Delivery) error {
	var c columns
	for _, d := range all {
		c.next().text(d.Endpoint).text(d.Event).text(d.Tenant).text(d.Type).text(d.Subject).int(int64(d.Place))
	}
	if c.rows == 0 {
		return nil
	}
	_, err := s.changes(ctx, insertDelivery, c.arrays...)
	return err
}

// DueEndpoints is [delivery.Store]'s.
func (s *Store) DueEndpoints(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = s.fenced(ctx, selectDueEndpoints, []any{writeText(after), limit}, func(r *row) { ids = append(ids, r.text()) })
	return ids, wrap("webhook endpoints that something is due for", err)
}

// TakeDue is [delivery.Store]'s.
func (s *Store) TakeDue(ctx context.Context, endpoint string, lease time.Duration, limit int) (works []delivery.Work, err error) {
	err = s.fenced(ctx, takeDue, []any{writeText(endpoint), limit, lease.Microseconds()}, func(r *row) {
		w := r.delivery()
		w.URL, w.Generation, w.Former = r.text(), r.int(), r.int() != 0
		w.FailingFor = time.Duration(r.int()) * time.Microsecond
		data := []byte(r.text())
		w.OutboxEvent = r.event()
		w.OutboxEvent.Data = data
		works = append(works, w)
	})
	return works, wrap("deliveries that are due", err)
}

// Finish is [delivery.Store]'s. Rows are written in the order of their names, so that
// nobody waits for somebody who waits for him.
func (s *Store) Finish(ctx context.Context, all []delivery.Done) error {
	all = slices.SortedFunc(slices.Values(all), func(a, b delivery.Done) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Event, b.Event))
	})
	health := map[string]delivery.Done{} // an endpoint is well if it took one
	err := s.together(ctx, func(b *pgx.Batch) {
		for _, d := range all {
			b.Queue(finishDelivery, writeText(d.Endpoint), writeText(d.Event), d.Fence, int64(d.Next.Status), d.After.Microseconds(),
				d.Number, micros(d.At), d.Took.Microseconds(), d.Attempt.Status, writeText(d.Error), writeText(d.Answer))
			if d.Number > delivery.MaxAttempts {
				b.Queue(dropAttempt, writeText(d.Endpoint), writeText(d.Event), d.Number-delivery.MaxAttempts)
			}
			if h, known := health[d.Endpoint]; !known || h.Next.Status != delivery.Delivered {
				health[d.Endpoint] = d
			}
		}
		for _, id := range slices.Sorted(maps.Keys(health)) {
			d, sql := health[id], endpointIsIll
			if d.Next.Status == delivery.Delivered {
				sql = endpointIsWell
			}
			b.Queue(sql, writeText(id), writeText(d.Event), d.Number)
			for _, d := range all {
				if d.Endpoint == id && d.Disable != "" {
					b.Queue(disableEndpoint, writeText(id), writeText(d.Event), d.Number, string(d.Disable))
				}
			}
		}
	})
	return wrap("deliveries", err)
}

// Redeliver is [delivery.Store]'s.
func (s *Store) Redeliver(ctx context.Context, tenant, endpoint, event string) (bool, error) {
	n, err := s.changes(ctx, redeliver, writeText(endpoint), writeText(event), writeText(tenant))
	return n > 0, err
}

// RedeliverDead is [delivery.Store]'s.
func (s *Store) RedeliverDead(ctx context.Context, tenant, endpoint string, limit int) (int, error) {
	return s.changes(ctx, redeliverDead, writeText(endpoint), writeText(tenant), limit)
}

// Prune is [delivery.Store]'s.
func (s *Store) Prune(ctx context.Context, keep time.Duration, limit int) (n int, err error) {
	err = s.together(ctx, func(b *pgx.Batch) {
		b.Queue(prune, keep.Microseconds(), limit).Query(readInto(func(*row) { n++ }))
		b.Queue(dropDeleted)
	})
	return n, wrap("deliveries", err)
}

// OldestPending is [delivery.Store]'s.
func (p *pool) OldestPending(ctx context.Context) (time.Time, error) {
	at, _, err := queryOne(ctx, p, oldestPending, nil, (*row).time)
	return at, wrap("the oldest delivery", err)
}
