package sandbox

import (
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// An execution is one time that an operation was executed. One of a charge or
// an authorization is also the charge that captures, voids and refunds are of.
type execution struct {
	num                           int64
	operation, kind, payment      string
	gatewayID, target             string
	amount                        int64
	currency, status, declineCode string

	captured, refunded int64
	closed, voided     bool // nothing more can be captured; nothing ever was, and nothing can be

	asked         asked
	visibleAt, at time.Time
}

// asked is what is kept of an instruction besides. The books hold it as JSON.
type asked struct {
	PaymentMethod       string            `json:"payment_method,omitempty"`
	Options             map[string]string `json:"options,omitempty"`
	ReturnURL           string            `json:"return_url,omitempty"`
	Reference           string            `json:"reference,omitempty"`
	Customer            string            `json:"customer,omitempty"`
	Description         string            `json:"description,omitempty"`
	StatementDescriptor string            `json:"statement_descriptor,omitempty"`
	NotifyURL           string            `json:"notify_url,omitempty"`
	NotifySecret        string            `json:"notify_secret,omitempty"`
}

// isCharge says that e can be captured, voided or refunded.
func (e *execution) isCharge() bool { return e.kind == kindCharge || e.kind == kindAuthorize }

// holdsMoney says that a charge has reserved or taken money that was not given back.
func (e *execution) holdsMoney() bool {
	return e.status == statusSucceeded && !e.voided && (e.captured == 0 || e.refunded < e.captured)
}

const selectExecutions = `SELECT num, operation, kind, payment, gateway_id, target, amount, currency, status, decline_code,
	captured, refunded, closed, voided, request, visible_at, at FROM executions `

// scan reads a row of selectExecutions.
func (e *execution) scan(row interface{ Scan(...any) error }) error {
	var request string
	var visibleAt, at int64
	err := row.Scan(&e.num, &e.operation, &e.kind, &e.payment, &e.gatewayID, &e.target, &e.amount, &e.currency, &e.status, &e.declineCode,
		&e.captured, &e.refunded, &e.closed, &e.voided, &request, &visibleAt, &at)
	if err != nil {
		return err
	}
	e.visibleAt, e.at = time.UnixMicro(visibleAt).UTC(), time.UnixMicro(at).UTC()
	return json.Unmarshal([]byte(request), &e.asked)
}

// insert writes e, which gets its number and its name.
func (t *tx) insert(e *execution) error {
	e.gatewayID = t.ids.New(gatewayPrefix[e.kind], e.at)
	request, err := json.Marshal(e.asked)
	if err != nil {
		return err
	}
	return t.row(`INSERT INTO executions (operation, kind, payment, gateway_id, target, amount, currency, status, decline_code,
			captured, refunded, closed, voided, request, visible_at, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num`,
		[]any{
			e.operation, e.kind, e.payment, e.gatewayID, e.target, e.amount, e.currency, e.status, e.declineCode,
			e.captured, e.refunded, e.closed, e.voided, string(request), e.visibleAt.UnixMicro(), e.at.UnixMicro(),
		}, &e.num)
}

var gatewayPrefix = map[string]string{
	kindCharge: "ch_", kindAuthorize: "ch_", kindCapture: "cp_", kindVoid: "vo_", kindRefund: "rf_",
}

// update writes what can change of a charge.
func (t *tx) update(e *execution) error {
	return t.exec(`UPDATE executions SET status = ?, decline_code = ?, captured = ?, refunded = ?, closed = ?, voided = ?, at = ? WHERE num = ?`,
		e.status, e.declineCode, e.captured, e.refunded, e.closed, e.voided, e.at.UnixMicro(), e.num)
}

// execution reads the execution with that number.
func (t *tx) execution(num int64) (*execution, error) {
	e := &execution{}
	return e, t.one(e, "WHERE num = ?", num)
}

// charge reads the charge with that name, and nil if there is none.
func (t *tx) charge(gatewayID string) (*execution, error) {
	e := &execution{}
	err := t.one(e, "WHERE gateway_id = ?", gatewayID)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !e.isCharge() {
		return nil, nil
	}
	return e, err
}

func (t *tx) one(e *execution, where string, arg any) error {
	s, err := t.stmt(selectExecutions + where)
	if err != nil {
		return err
	}
	return e.scan(s.QueryRow(arg))
}

// executionsOf reads all executions of an operation, the first one first.
func (t *tx) executionsOf(operation string) ([]*execution, error) {
	s, err := t.stmt(selectExecutions + "WHERE operation = ? ORDER BY num")
	if err != nil {
		return nil, err
	}
	rows, err := s.Query(operation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*execution
	for rows.Next() {
		e := &execution{}
		if err := e.scan(rows); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}
