package postgres

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/paging"
)

const (
	listEndpoints = "SELECT " + endpointColumns + ` FROM webhook_endpoints WHERE tenant = $1 AND deleted_at IS NULL AND ($2 = '' OR id < $2)
		ORDER BY tenant, id DESC LIMIT $3`
	listDeliveries = "SELECT " + deliveryColumns + ` FROM deliveries d WHERE endpoint = $1 AND tenant = $2 AND ($3 = '' OR event < $3)
		ORDER BY endpoint DESC, event DESC LIMIT $4`
	listDeliveriesBy = "SELECT " + deliveryColumns + ` FROM deliveries d WHERE endpoint = $1 AND tenant = $2 AND ($3 = '' OR event < $3) AND status = $5
		ORDER BY endpoint DESC, status DESC, event DESC LIMIT $4`
	selectDelivery = "SELECT " + deliveryColumns + " FROM deliveries d WHERE tenant = $1 AND endpoint = $2 AND event = $3"
	selectAttempts = "SELECT number, at, took, status, error, answer FROM delivery_attempts WHERE endpoint = $1 AND event = $2 ORDER BY number"
)

// WebhookEndpoints lists the webhook endpoints of a tenant, newest first. It fails with
// ErrBadCursor.
func (p *pool) WebhookEndpoints(ctx context.Context, tenant string, page engine.Page) (engine.List[delivery.Endpoint], error) {
	return readPage(ctx, p, asked[delivery.Endpoint]{
		list: paging.List{"webhook endpoints", tenant}, page: page,
		read: func(ctx context.Context, place string, n int) (rows []found[delivery.Endpoint], err error) {
			err = p.query(ctx, listEndpoints, []any{writeText(tenant), place, n}, func(r *row) {
				e := r.endpoint()
				rows = append(rows, found[delivery.Endpoint]{*e, e.CreatedAt, e.ID})
			})
			return rows, err
		},
	})
}

// Deliveries lists the deliveries to an endpoint, those of one status if one is named, by
// their events, newest first. It fails with ErrBadCursor.
func (p *pool) Deliveries(ctx context.Context, tenant, endpoint string, status delivery.Status, page engine.Page) (engine.List[delivery.Delivery], error) {
	return readPage(ctx, p, asked[delivery.Delivery]{
		list: paging.List{"deliveries", tenant, endpoint, status.String()}, page: page,
		read: func(ctx context.Context, place string, n int) (rows []found[delivery.Delivery], err error) {
			sql, args := listDeliveries, []any{writeText(endpoint), writeText(tenant), place, n}
			if status != 0 {
				sql, args = listDeliveriesBy, append(args, int64(status))
			}
			err = p.query(ctx, sql, args, func(r *row) {
				d := r.delivery().Delivery
				rows = append(rows, found[delivery.Delivery]{d, d.CreatedAt, d.Event})
			})
			return rows, err
		},
	})
}

// DeliveryOf returns a delivery and its attempts, the oldest first; nil if there is none.
func (p *pool) DeliveryOf(ctx context.Context, tenant, endpoint, event string) (*delivery.Delivery, []delivery.Attempt, error) {
	names := []any{writeText(tenant), writeText(endpoint), writeText(event)}
	w, found, err := queryOne(ctx, p, selectDelivery, names, (*row).delivery)
	if err != nil || !found {
		return nil, nil, wrap("a delivery", err)
	}
	var attempts []delivery.Attempt
	err = p.query(ctx, selectAttempts, names[1:], func(r *row) {
		attempts = append(attempts, delivery.Attempt{
			Number: int(r.int()), At: r.time(), Took: time.Duration(r.int()) * time.Microsecond,
			Status: int(r.int()), Error: r.text(), Answer: r.text(),
		})
	})
	return &w.Delivery, attempts, wrap("a delivery", err)
}
