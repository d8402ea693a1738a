package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
)

// WebhookEndpoints lists the webhook endpoints of a tenant, newest first. It fails with
// ErrBadCursor.
func (p *pool) WebhookEndpoints(ctx context.Context, tenant string, page engine.Page) (engine.List[delivery.Endpoint], error) {
	a := ask[delivery.Endpoint]{list: paging.List{"webhook endpoints", tenant}, page: page}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[delivery.Endpoint], error) {
		q, err := c.stmt(selectEndpoints)
		if err != nil {
			return nil, err
		}
		q.text(tenant).text(place)
		return func() (r found[delivery.Endpoint], ok bool, err error) {
			if !q.next(&err) {
				return r, false, err
			}
			r.item = *q.columnEndpoint()
			r.at, r.after = r.item.CreatedAt, r.item.ID
			return r, true, nil
		}, nil
	})
}

const (
	listDeliveries = "SELECT " + deliveryColumns + ` FROM deliveries
		WHERE endpoint = ?1 AND (?2 = '' OR event < ?2) AND tenant = ?3 ORDER BY event DESC`
	listDeliveriesBy = "SELECT " + deliveryColumns + ` FROM deliveries INDEXED BY deliveries_by_status
		WHERE endpoint = ?1 AND (?2 = '' OR event < ?2) AND tenant = ?3 AND status = ?4 ORDER BY event DESC`
	selectDelivery = "SELECT " + deliveryColumns + " FROM deliveries WHERE tenant = ? AND endpoint = ? AND event = ?"
	selectAttempts = "SELECT number, at, took, status, error, answer FROM delivery_attempts WHERE endpoint = ? AND event = ? ORDER BY number"
)

// Deliveries lists the deliveries to an endpoint, those of one status if one is named, by
// their events, newest first. It fails with ErrBadCursor.
func (p *pool) Deliveries(ctx context.Context, tenant, endpoint string, status delivery.Status, page engine.Page) (engine.List[delivery.Delivery], error) {
	a := ask[delivery.Delivery]{list: paging.List{"deliveries", tenant, endpoint, status.String()}, page: page}
	return readPage(ctx, p, a, func(c *conn, place string) (rows[delivery.Delivery], error) {
		sql := listDeliveries
		if status != 0 {
			sql = listDeliveriesBy
		}
		q, err := c.stmt(sql)
		if err != nil {
			return nil, err
		}
		if q.text(endpoint).text(place).text(tenant); status != 0 {
			q.int(int64(status))
		}
		return func() (r found[delivery.Delivery], ok bool, err error) {
			if !q.next(&err) {
				return r, false, err
			}
			r.item = q.columnDelivery().Delivery
			r.at, r.after = r.item.CreatedAt, r.item.Event
			return r, true, nil
		}, nil
	})
}

// DeliveryOf returns a delivery and its attempts, the oldest first; nil if there is none.
func (p *pool) DeliveryOf(ctx context.Context, tenant, endpoint, event string) (d *delivery.Delivery, attempts []delivery.Attempt, err error) {
	err = p.read(ctx, func(c *conn) error {
		d, err = lookUp(c, selectDelivery, func(q *stmt) (*delivery.Delivery, error) { w := q.columnDelivery(); return &w.Delivery, nil }, tenant, endpoint, event)
		if err != nil || d == nil {
			return err
		}
		q, err := c.stmt(selectAttempts)
		if err != nil {
			return err
		}
		for q.text(endpoint).text(event); q.next(&err); {
			attempts = append(attempts, delivery.Attempt{
				Number: int(q.columnInt(0)), At: q.columnTime(1), Took: time.Duration(q.columnInt(2)) * time.Microsecond,
				Status: int(q.columnInt(3)), Error: q.columnText(4), Answer: q.columnText(5),
			})
		}
		return err
	})
	return d, attempts, wrap("a delivery", err)
}
