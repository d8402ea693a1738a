package sqlite

import (
	"time"

	"github.com/oncepay/oncepay/money"
	"github.com/oncepay/oncepay/pay"
)

// columns reads the columns of a row from left to right, as they are bound.
type columns struct {
	*stmt
	next int32
}

func (c *columns) take() int32 { c.next++; return c.next - 1 }

func (c *columns) text() string    { return c.columnText(c.take()) }
func (c *columns) int() int64      { return c.columnInt(c.take()) }
func (c *columns) bool() bool      { return c.columnInt(c.take()) != 0 }
func (c *columns) time() time.Time { return c.columnTime(c.take()) }

func (c *columns) pairs(err *error) map[string]string {
	m, bad := c.columnMetadata(c.take())
	if bad != nil {
		*err = bad
	}
	return m
}

const paymentColumns = `tenant, id, status, in_doubt, amount, amount_captured, amount_refunded, currency, reference, gateway,
	payment_method, manual, canceled, customer, description, statement_descriptor, return_url, gateway_options, metadata,
	created_at, updated_at, version`

// columnPayment reads the row as it is, without its operations.
func (s *stmt) columnPayment() (p *pay.Payment, err error) {
	c := columns{stmt: s}
	p = &pay.Payment{
		Ref:    pay.Ref{Tenant: c.text(), ID: c.text()},
		Status: pay.Status(c.int()), InDoubt: c.bool(),
		Amount: c.int(), Captured: c.int(), Refunded: c.int(), Currency: money.Currency(c.text()),
		Reference: c.text(), Gateway: c.text(), Method: c.text(), Manual: c.bool(), Canceled: c.bool(),
		Customer: c.text(), Description: c.text(), StatementDescriptor: c.text(), ReturnURL: c.text(),
		Options: c.pairs(&err), Metadata: c.pairs(&err),
		CreatedAt: c.time(), UpdatedAt: c.time(), Version: c.int(),
	}
	return p, err
}

// payment reads the row and its operations, and says what is wrong with it.
func (s *stmt) payment() (*pay.Payment, error) {
	p, err := s.columnPayment()
	if err != nil {
		return nil, err
	}
	if p.Operations, err = s.c.operations(p.Ref); err != nil {
		return nil, err
	}
	return p, p.Check()
}

const selectOperations = "SELECT " + operationColumns + " FROM operations WHERE tenant = ? AND payment = ? ORDER BY place"

func (c *conn) operations(of pay.Ref) (found []*pay.Operation, err error) {
	q, err := c.stmt(selectOperations)
	if err != nil {
		return nil, err
	}
	q.text(of.Tenant).text(of.ID)
	for q.next(&err) {
		_, o := q.columnOperation()
		found = append(found, o)
	}
	return found, err
}

const operationColumns = `tenant, payment, place, id, kind, amount, last, outcome, moved, gateway_id, action_url,
	failure_code, decline_code, failure_message, parked, epoch,
	attempt, exposed, owner, first_sent_at, sent_at, lease_until, stopped_at, resend_until, adrift, lookup_lag, in_flight,
	checks, blanks, checked_at, absent_at, lag, hinted, due_at, key, followers, asked, request_id,
	booked, suspended, transfer, created_at, updated_at, gateway`

// columnOperation reads the row as it is, and whose it is. The gateway is its
// payment's.
func (s *stmt) columnOperation() (of pay.Ref, o *pay.Operation) {
	c := columns{stmt: s}
	of = pay.Ref{Tenant: c.text(), ID: c.text()}
	c.take() // place: rows are read in its order
	return of, &pay.Operation{
		ID: c.text(), Kind: pay.Kind(c.int()), Amount: c.int(), Last: c.bool(),
		Outcome: pay.Outcome(c.int()), Moved: c.int(), GatewayID: c.text(), ActionURL: c.text(),
		Failure: pay.Failure{Code: c.text(), DeclineCode: c.text(), Message: c.text()},
		Parked:  c.text(), Epoch: c.int(), Attempt: c.int(), Exposed: c.bool(), Owner: c.text(),
		FirstSentAt: c.time(), SentAt: c.time(), LeaseUntil: c.time(), StoppedAt: c.time(), ResendUntil: c.time(), Adrift: c.int(),
		LookupLag: time.Duration(c.int()) * time.Microsecond, InFlight: time.Duration(c.int()) * time.Microsecond,
		Checks: c.int(), Blanks: c.int(), CheckedAt: c.time(), AbsentAt: c.time(),
		Lag: time.Duration(c.int()) * time.Microsecond, Hinted: c.bool(), DueAt: c.time(),
		Key: c.text(), Followers: c.text(), Asked: pay.Verb(c.int()), RequestID: c.text(),
		Booked: c.int(), Suspended: c.int(), Transfer: c.text(), CreatedAt: c.time(), UpdatedAt: c.time(),
	}
}

const referenceColumns = "tenant, reference, payment, version"

// reference reads the row as it is.
func (c *columns) reference() pay.Reference {
	return pay.Reference{Tenant: c.text(), Reference: c.text(), Payment: c.text(), Version: c.int()}
}

const noticeColumns = `tenant, gateway, id, payment, operation, gateway_id, type, matched,
	outcome, amount, currency, failure_code, decline_code, failure_message, at, version`

// columnNotice reads the row as it is.
func (s *stmt) columnNotice() *pay.Notice {
	c := columns{stmt: s}
	return &pay.Notice{
		NoticeID: pay.NoticeID{Tenant: c.text(), Gateway: c.text(), ID: c.text()},
		Payment:  c.text(), Operation: c.text(), GatewayID: c.text(), Type: c.text(), Matched: c.bool(),
		Evidence: pay.Evidence{
			Outcome: pay.Outcome(c.int()), Amount: c.int(), Currency: money.Currency(c.text()),
			Failure: pay.Failure{Code: c.text(), DeclineCode: c.text(), Message: c.text()},
		},
		At: c.time(), Version: c.int(),
	}
}

const lineColumns = "tenant, payment, at, type, operation, key, detail, actor"

// columnLine reads the row as it is.
func (s *stmt) columnLine() pay.Line {
	c := columns{stmt: s}
	return pay.Line{
		Tenant: c.text(), Payment: c.text(), At: c.time(), Type: c.text(),
		Operation: c.text(), Key: c.text(), Detail: c.text(), Actor: c.text(),
	}
}
