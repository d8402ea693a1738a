package bench

import (
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// Bare returns the yardstick: a net/http handler that reads a transfer's JSON
// and answers 201 with JSON of the shape, size and headers that oncepay's answer
// has, and does nothing else. It stores nothing and knows no key. Safe for
// concurrent use, like any handler.
func Bare() http.Handler { return &bare{} }

// bare decodes with go-json-experiment and encodes with encoding/json, because
// each was the faster of the two at that; a slow yardstick would flatter us.
type bare struct{ served atomic.Uint64 }

// order and receipt have the members that the API's transfers have.
type order struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type receipt struct {
	ID           string            `json:"id"`
	Status       string            `json:"status"`
	From         string            `json:"from"`
	To           string            `json:"to"`
	Amount       int64             `json:"amount"`
	AmountPosted int64             `json:"amount_posted"`
	Currency     string            `json:"currency"`
	Reference    *string           `json:"reference"`
	ReversedBy   *string           `json:"reversed_by"`
	Reverses     *string           `json:"reverses"`
	Metadata     map[string]string `json:"metadata"`
	CreatedAt    string            `json:"created_at"`
}

const micros = "2006-01-02T15:04:05.000000Z"

func (h *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<20), &o); err != nil {
		http.Error(w, "the body is no transfer", http.StatusBadRequest)
		return
	}
	now, n := time.Now().UTC(), h.served.Add(1)
	out := receipt{
		ID: fmt.Sprintf("tr_%032x", n), Status: "posted", From: o.From, To: o.To, Amount: o.Amount, AmountPosted: o.Amount,
		Currency: o.Currency, Metadata: map[string]string{}, CreatedAt: now.Format(micros),
	}
	head := w.Header()
	head.Set("Content-Type", "application/json")
	head.Set("Location", "/v1/transfers/"+out.ID)
	head.Set("Request-Id", fmt.Sprintf("req_%032x", n))
	head.Set("Idempotency-Expires", now.Add(24*time.Hour).Format(time.RFC3339))
	w.WriteHeader(http.StatusCreated)
	_ = stdjson.NewEncoder(w).Encode(out) // a client that is gone needs no answer
}
