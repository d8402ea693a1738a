package postgres

import (
	"time"

	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
)

// payment reads the row as it is, without its operations.
func (r *row) payment() *pay.Payment {
	return &pay.Payment{
		Ref: pay.Ref{Tenant: r.text(), ID: r.text()}, Status: pay.Status(r.int()), InDoubt: r.bool(),
		Amount: r.int(), Captured: r.int(), Refunded: r.int(), Currency: money.Currency(r.text()),
		Reference: r.text(), Gateway: r.text(), Method: r.text(), Manual: r.bool(), Canceled: r.bool(),
		Customer: r.text(), Description: r.text(), StatementDescriptor: r.text(), ReturnURL: r.text(),
		Options: r.metadata(), Metadata: r.metadata(),
		CreatedAt: r.time(), UpdatedAt: r.time(), Version: r.int(),
	}
}

// operation reads the row as it is, and whose it is. The gateway is its payment's.
func (r *row) operation() (of pay.Ref, o *pay.Operation) {
	of = pay.Ref{Tenant: r.text(), ID: r.text()}
	r.take() // place: rows are read in its order
	return of, &pay.Operation{
		ID: r.text(), Kind: pay.Kind(r.int()), Amount: r.int(), Last: r.bool(),
		Outcome: pay.Outcome(r.int()), Moved: r.int(), GatewayID: r.text(), ActionURL: r.text(),
		Failure: pay.Failure{Code: r.text(), DeclineCode: r.text(), Message: r.text()},
		Parked:  r.text(), Epoch: r.int(), Attempt: r.int(), Exposed: r.bool(), Owner: r.text(),
		FirstSentAt: r.time(), SentAt: r.time(), LeaseUntil: r.time(), StoppedAt: r.time(), ResendUntil: r.time(), Adrift: r.int(),
		LookupLag: time.Duration(r.int()) * time.Microsecond, InFlight: time.Duration(r.int()) * time.Microsecond,
		Checks: r.int(), Blanks: r.int(), CheckedAt: r.time(), AbsentAt: r.time(),
		Lag: time.Duration(r.int()) * time.Microsecond, Hinted: r.bool(), DueAt: r.time(),
		Key: r.text(), Followers: r.text(), Asked: pay.Verb(r.int()), RequestID: r.text(),
		Booked: r.int(), Suspended: r.int(), Transfer: r.text(), CreatedAt: r.time(), UpdatedAt: r.time(),
	}
}

// reference reads the row as it is.
func (r *row) reference() pay.Reference {
	return pay.Reference{Tenant: r.text(), Reference: r.text(), Payment: r.text(), Version: r.int()}
}

// notice reads the row as it is.
func (r *row) notice() *pay.Notice {
	return &pay.Notice{
		NoticeID: pay.NoticeID{Tenant: r.text(), Gateway: r.text(), ID: r.text()},
		Payment:  r.text(), Operation: r.text(), GatewayID: r.text(), Type: r.text(), Matched: r.bool(),
		Evidence: pay.Evidence{
			Outcome: pay.Outcome(r.int()), Amount: r.int(), Currency: money.Currency(r.text()),
			Failure: pay.Failure{Code: r.text(), DeclineCode: r.text(), Message: r.text()},
		},
		At: r.time(), Version: r.int(),
	}
}

const lineColumns = "tenant, payment, at, type, operation, key, detail, actor"

// line reads the row as it is.
func (r *row) line() pay.Line {
	return pay.Line{
		Tenant: r.text(), Payment: r.text(), At: r.time(), Type: r.text(),
		Operation: r.text(), Key: r.text(), Detail: r.text(), Actor: r.text(),
	}
}
