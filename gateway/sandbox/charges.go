package sandbox

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Charge is one execution that took or reserved money: the other side's truth.
type Charge struct {
	Payment        string    `json:"payment"`
	GatewayID      string    `json:"gateway_id"`
	Amount         int64     `json:"amount"`
	Currency       string    `json:"currency"`
	AmountCaptured int64     `json:"amount_captured"`
	AmountRefunded int64     `json:"amount_refunded"`
	At             time.Time `json:"at"`
	Operation      string    `json:"operation"`
	Voided         bool      `json:"voided"`
}

// Charges returns the charges of a payment, the newest first; of "", all there
// are. An execution that happened twice is there twice.
func (s *Server) Charges(ctx context.Context, payment string) ([]Charge, error) {
	var all []Charge
	q := chargesQuery{payment: payment, limit: maxCharges}
	for {
		page, next, err := s.books.charges(ctx, q)
		all = append(all, page...)
		if err != nil || next == 0 {
			return all, err
		}
		q.before = next
	}
}

// maxCharges are on a page.
const maxCharges = 1000

// chargesQuery asks for some charges: of a payment or of all, those with a
// number less than before if it is not 0.
type chargesQuery struct {
	payment string
	before  int64
	limit   int
}

const selectCharges = `SELECT num, payment, gateway_id, amount, currency, captured, refunded, at, operation, voided
	FROM executions WHERE kind IN ('charge', 'authorize') AND status = 'succeeded'`

// charges returns a page and where the next one begins, 0 if there is none.
func (b *books) charges(ctx context.Context, q chargesQuery) (page []Charge, next int64, err error) {
	query, args := selectCharges, []any{}
	for condition, arg := range map[string]any{" AND payment = ?": q.payment, " AND num < ?": q.before} {
		if arg != "" && arg != int64(0) {
			query, args = query+condition, append(args, arg)
		}
	}
	rows, err := b.read.QueryContext(ctx, query+" ORDER BY num DESC LIMIT ?", append(args, q.limit+1)...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var last int64
	for rows.Next() {
		if len(page) == q.limit {
			return page, last, nil
		}
		var c Charge
		var at int64
		if err := rows.Scan(&last, &c.Payment, &c.GatewayID, &c.Amount, &c.Currency, &c.AmountCaptured, &c.AmountRefunded, &at, &c.Operation, &c.Voided); err != nil {
			return nil, 0, err
		}
		c.At = time.UnixMicro(at).UTC()
		page = append(page, c)
	}
	return page, 0, rows.Err()
}

// chargesBody is a page of charges. The cursor is opaque, as everywhere.
type chargesBody struct {
	Data       []Charge `json:"data"`
	NextCursor *string  `json:"next_cursor"`
}

// listCharges is GET /sandbox/charges?payment=&limit=&cursor=.
func (s *Server) listCharges(w http.ResponseWriter, r *http.Request) {
	n, no := limit(r, maxCharges)
	before, err := parseCursor(r.URL.Query().Get("cursor"))
	if no == nil && err != nil {
		no = invalid("the cursor is not one of this list")
	}
	if no != nil {
		refuse(w, no)
		return
	}
	page, next, err := s.books.charges(r.Context(), chargesQuery{r.URL.Query().Get("payment"), before, n})
	if err != nil {
		s.fail(w, err)
		return
	}
	body := chargesBody{Data: append([]Charge{}, page...)}
	if next != 0 {
		cursor := "c" + strconv.FormatInt(next, 36)
		body.NextCursor = &cursor
	}
	writeJSON(w, http.StatusOK, body)
}

func parseCursor(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseInt(strings.TrimPrefix(s, "c"), 36, 64)
}
