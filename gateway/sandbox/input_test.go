package sandbox_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/gateway/sandbox"
)

func TestWhatIsRefused(t *testing.T) {
	h := open(t, sandbox.Config{})
	good := `{"kind":"charge","payment":"pay_1","amount":1250,"currency":"EUR","payment_method":"pm_ok"}`
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, row := range []struct {
		sentence, text string
		status         int
		code           string
	}{
		{"no JSON", `charge me`, 400, "bad_json"},
		{"nothing", ``, 400, "bad_json"},
		{"a member twice", swap(`"amount":1250`, `"amount":1250,"amount":1`), 400, "bad_json"},
		{"something after the end", good + "{}", 400, "bad_json"},
		{"an array", `[` + good + `]`, 400, "invalid"},
		{"a member that does not exist", swap(`"kind"`, `"colour":"red","kind"`), 400, "invalid"},
		{"an amount with a point", swap(`1250`, `12.50`), 400, "invalid"},
		{"an amount with an exponent", swap(`1250`, `1e3`), 400, "invalid"},
		{"an amount as text", swap(`1250`, `"1250"`), 400, "invalid"},
		{"an amount beyond 64 bits", swap(`1250`, `9223372036854775808`), 400, "invalid"},
		{"no amount", swap(`1250`, `0`), 400, "invalid"},
		{"a negative amount", swap(`1250`, `-1`), 400, "invalid"},
		{"a currency in lower case", swap(`EUR`, `eur`), 400, "invalid"},
		{"a currency that does not exist", swap(`EUR`, `EUX`), 400, "invalid"},
		{"no payment", swap(`pay_1`, ``), 400, "invalid"},
		{"another kind", swap(`"charge"`, `"steal"`), 400, "invalid"},
		{"an unknown payment method", swap(`pm_ok`, `pm_gold`), 422, "no_such_payment_method"},
		{"no payment method", swap(`,"payment_method":"pm_ok"`, ``), 422, "no_such_payment_method"},
		{"an unknown option", swap(`"kind"`, `"options":{"capture":"pm_gold"},"kind"`), 422, "no_such_payment_method"},
		{"an action for a refund", swap(`"kind"`, `"options":{"refund":"pm_requires_action"},"kind"`), 422, "no_such_payment_method"},
		{"options that are no strings", swap(`"kind"`, `"options":{"capture":1},"kind"`), 400, "invalid"},
		{"final that is no yes or no", swap(`"kind"`, `"final":"true","kind"`), 400, "invalid"},
		{"a capture of nothing", swap(`"charge"`, `"capture"`), 400, "invalid"},
		{"a void of nothing", swap(`"charge"`, `"void"`), 400, "invalid"},
		{"a void of two things", swap(`"charge"`, `"void","target":"ch_1","target_operation":"att_1"`), 400, "invalid"},
		{"a refund of nothing", swap(`"charge"`, `"refund"`), 400, "invalid"},
		{"a refund of two things", swap(`"charge"`, `"refund","target":"ch_1","target_operation":"att_1"`), 400, "invalid"},
		{"a return to a script", swap(`"kind"`, `"return_url":"javascript:alert(1)","kind"`), 400, "invalid"},
		{"a webhook to a file", swap(`"kind"`, `"notify":{"url":"file:///etc/passwd","secret":"`+secretText+`"},"kind"`), 400, "invalid"},
		{"a webhook without a secret", swap(`"kind"`, `"notify":{"url":"http://127.0.0.1/"},"kind"`), 400, "invalid"},
		{"a webhook with something else", swap(`"kind"`, `"notify":{"uri":"http://127.0.0.1/"},"kind"`), 400, "invalid"},
		{"a text without end", swap(`pay_1`, strings.Repeat("p", 2001)), 400, "invalid"},
		{"more than 256 KiB", swap(`"kind"`, strings.Repeat(" ", 256<<10)+`"kind"`), 413, "too_large"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			a := h.do(context.Background(), "POST", "/v1/operations", []byte(row.text), "Idempotency-Key", "att_1")
			if a.status != row.status || a.Error.Code != row.code || a.Operation != "att_1" {
				t.Errorf("got %d %s, want %d %s of att_1", a.status, a.text, row.status, row.code)
			}
		})
	}
	h.wantCharges(0)
	if a := h.do(context.Background(), "POST", "/v1/operations", []byte(good), "Idempotency-Key", "att_1"); a.status != 200 {
		t.Errorf("what is good is refused: %d %s", a.status, a.text)
	}
}

func TestAnOperationNeedsOneID(t *testing.T) {
	h := open(t, sandbox.Config{})
	good := []byte(`{"kind":"charge","payment":"pay_1","amount":1250,"currency":"EUR","payment_method":"pm_ok"}`)
	for sentence, headers := range map[string][]string{
		"none":           nil,
		"an empty one":   {"Idempotency-Key", ""},
		"two":            {"Idempotency-Key", "att_1", "Idempotency-Key", "att_2"},
		"one too long":   {"Idempotency-Key", strings.Repeat("a", 256)},
		"one in letters": {"Idempotency-Key", "ätt"},
		"one in two":     {"Idempotency-Key", "att 1"},
	} {
		if a := h.do(context.Background(), "POST", "/v1/operations", good, headers...); a.status != 400 || a.Operation != "" {
			t.Errorf("%s: got %d %s", sentence, a.status, a.text)
		}
	}
	h.wantCharges(0)
}

// Where only /sandbox/ is mounted, nobody from outside charges anything: what
// exists is what is listed here.
func TestOtherPathsDoNotExist(t *testing.T) {
	h := open(t, sandbox.Config{})
	for _, path := range []string{"/", "/v1", "/sandbox", "/sandbox/", "/sandbox/v1/operations", "/sandbox/actions/"} {
		if a := h.get(path); a.status != 404 {
			t.Errorf("%s: got %d", path, a.status)
		}
	}
	if a := h.do(context.Background(), "PUT", "/v1/operations", nil); a.status != 405 {
		t.Errorf("PUT: got %d", a.status)
	}
}

// When too many hang, one more is cut off: that is no answer either.
func TestHangingIsBounded(t *testing.T) {
	h := open(t, sandbox.Config{MaxHanging: 2})
	ctx, leave := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, id := range []string{"att_1", "att_2"} {
		wg.Go(func() { h.post(ctx, id, charge("pm_timeout_after_charge")) })
		eventually(t, func() bool { return h.Sends(id) == 1 })
	}
	n := 2
	hangs := func() bool {
		n++
		return h.sendAndLeave(fmt.Sprintf("att_%d", n), charge("pm_timeout_after_charge")).unanswered()
	}
	eventually(t, func() bool { return !hangs() })
	leave()
	wg.Wait()
	eventually(t, hangs) // the places are given back
	h.wantCharges(n)     // the money was taken in any case
}
