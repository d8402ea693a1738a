package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// Who decided what is logged once, whether it named the operation or not; what it
// rests on is not, and nothing is of a decision that was refused.
func TestADecisionIsLogged(t *testing.T) {
	const secret = "statement of the customer"
	for _, named := range []bool{false, true} {
		t.Run(fmt.Sprintf("operation named: %v", named), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, nil)
				id := h.do("POST", "/v1/payments", confirmed("pm_lost"), "Idempotency-Key", "k", "Prefer", "wait=4").id()
				time.Sleep(terms.InFlight) // until then nobody can say that it did not happen
				p, err := h.store.Payment(t.Context(), pay.Ref{Tenant: "acme", ID: id})
				if err != nil || p == nil || !p.InDoubt {
					t.Fatal(p, err)
				}
				operation := p.Charge().ID
				decide := func(key, operation string) answer {
					body := `{"as":"absent","evidence":"` + secret + `"`
					if operation != "" {
						body += `,"operation":"` + operation + `"`
					}
					return h.post(key, "/v1/payments/"+id+"/resolve", body+"}")
				}
				if a := decide("a", "att_of_another"); a.status != 404 || h.log.String() != "" {
					t.Fatalf("got %v and the log %q", a, h.log)
				}
				ask := ""
				if named {
					ask = operation
				}
				for range 2 {
					if a := decide("b", ask); a.status != 200 {
						t.Fatal(a)
					}
				}
				if a := decide("c", ask); a.code() != "state_conflict" {
					t.Fatal(a)
				}
				got := h.log.String()
				want := fmt.Sprintf(`level=INFO msg="a payment in doubt was resolved" tenant=acme payment=%s operation=%s as=absent actor=ak_sk_acme`+"\n", id, operation)
				if _, line, _ := strings.Cut(got, " "); line != want {
					t.Errorf("the log is %q, want %q", got, want)
				}
			})
		})
	}
}
