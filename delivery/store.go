package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/oncepay/oncepay/outbox"
)

// Store has endpoints and deliveries. What it returned without an error is durable. Times are by its
// clock: of several processes that share it none needs to have the right one. Its methods are
// safe for concurrent use.
type Store interface {
	// AddEndpoint keeps an endpoint that is made by a request, and returns it: or the one
	// that was made by the same request before. It sets CreatedAt, UpdatedAt and Version. It
	// fails with ErrTooMany if the tenant has limit endpoints.
	AddEndpoint(ctx context.Context, e Endpoint, request [32]byte, limit int) (*Endpoint, error)

	// Endpoint returns an endpoint, or nil if the tenant has none of that id.
	Endpoint(ctx context.Context, tenant, id string) (*Endpoint, error)

	// PutEndpoint writes an endpoint that was read and changed, and sets UpdatedAt and Version.
	// overlap, if it is not 0, sets FormerUntil to so much later than now. It fails with
	// ErrChanged if it was written since.
	PutEndpoint(ctx context.Context, e *Endpoint, overlap time.Duration) error

	// DeleteEndpoint forgets an endpoint. Its deliveries are pending no more, and go with
	// Prune. It says whether there was one.
	DeleteEndpoint(ctx context.Context, tenant, id string) (bool, error)

	// EnabledEndpoints returns those of the tenants that are enabled.
	EnabledEndpoints(ctx context.Context, tenants []string) ([]Endpoint, error)

	// AnyEndpoint says whether anybody has an endpoint. It is cheap.
	AnyEndpoint(ctx context.Context) (bool, error)

	// AddDeliveries makes deliveries that are due now: those that are not there, of endpoints
	// that are.
	AddDeliveries(ctx context.Context, all []Delivery) error

	// DueEndpoints returns up to limit ids of enabled endpoints that follow after, by id, and
	// that have a delivery which is due.
	DueEndpoints(ctx context.Context, after string, limit int) ([]string, error)

	// TakeDue takes up to limit deliveries of an endpoint that are due, the longest due first.
	// They are due again when the lease is over: then who took them is gone.
	TakeDue(ctx context.Context, endpoint string, lease time.Duration, limit int) ([]Work, error)

	// Finish writes attempts and what came of them. It leaves those out whose delivery was taken
	// again or changed since, or is not there.
	Finish(ctx context.Context, all []Done) error

	// Redeliver makes a delivery due now, for a new round of attempts, whatever its status
	// is. It says whether there is one.
	Redeliver(ctx context.Context, tenant, endpoint, event string) (bool, error)

	// RedeliverDead does that with up to limit dead ones of an endpoint, and says with how many.
	RedeliverDead(ctx context.Context, tenant, endpoint string, limit int) (int, error)

	// Prune forgets up to limit deliveries that were done more than keep ago, or whose
	// endpoint was deleted, and says how many.
	Prune(ctx context.Context, keep time.Duration, limit int) (int, error)

	// OldestPending returns when the delivery was made that is pending longest, at an enabled
	// endpoint; zero: none is.
	OldestPending(ctx context.Context) (time.Time, error)
}

var (
	// ErrTooMany means that the tenant has as many endpoints as it may have.
	ErrTooMany = errors.New("delivery: the tenant has too many endpoints")

	// ErrChanged means that an endpoint was written since it was read.
	ErrChanged = errors.New("delivery: the endpoint has changed")
)

// NewDelivery is an event on its way to an endpoint.
func NewDelivery(endpoint string, p outbox.Placed) Delivery {
	return Delivery{Endpoint: endpoint, Tenant: p.Tenant, Event: p.ID, Type: p.Type, Subject: p.Subject, Place: p.Position, Status: Pending}
}
