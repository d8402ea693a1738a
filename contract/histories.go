package contract

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/audit"
)

// SeedVariable is the environment variable that has [TestHistories] run one
// seed, to see a failure again.
const SeedVariable = "ONCEPAY_CONTRACT_SEED"

// turns is how many things happen in a history: more than a thousand commands.
const turns = 3000

// fixedSeeds are always run.
var fixedSeeds = []uint64{525285185, 1, 2, 3, 6}

// TestHistories runs the same histories on stores of every kind, and compares
// what they answer and what is read from them with the first kind. Some seeds
// are always the same, and one is new every time.
func TestHistories(t *testing.T, fixtures ...Fixture) {
	seen := map[string]int{} // in all histories of the first kind
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			var first string
			for i, f := range fixtures {
				h := newHistory(t, f, seed)
				transcript := h.play(turns)
				h.audit()
				if i == 0 {
					first = transcript
					addUp(seen, h.seen)
				} else if transcript != first {
					t.Fatalf("%s and %s differ (replay with %s=%d):\n%s",
						fixtures[0].Name, f.Name, SeedVariable, seed, difference(first, transcript))
				}
			}
		})
	}
	if os.Getenv(SeedVariable) == "" {
		wantMuch(t, seen)
	}
}

func addUp(sum, more map[string]int) {
	for what, n := range more {
		sum[what] += n
	}
}

func seeds(t *testing.T) []uint64 {
	t.Helper()
	if s := os.Getenv(SeedVariable); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%s: %v", SeedVariable, s, err)
		}
		return []uint64{seed}
	}
	var fresh [4]byte
	rand.Read(fresh[:]) // never fails: it ends the process instead
	return append(slices.Clone(fixedSeeds), uint64(binary.BigEndian.Uint32(fresh[:])))
}

// wantMuch fails if the histories were poor: where nothing is ever refused or
// replayed, nothing is compared.
func wantMuch(t *testing.T, seen map[string]int) {
	t.Helper()
	for _, what := range []string{
		"done", "replayed", "once: the key was used for a different request", "once: the key's window is over",
		"engine: a request with this key is in progress", "engine: the store is not available",
		"insufficient_funds", "currency_mismatch", "account_closed", "state_conflict", "amount_exceeds_hold",
		"already_exists", "invalid", "not_found", "balance_overflow",
		"at work", "reference_conflict", "refund_exceeds_captured", "amount_exceeds_authorized", "in_progress", "gateway_unavailable",
		"requires_confirmation", "processing", "requires_action", "authorized", "succeeded", "failed", "canceled", "needs_review",
		"in doubt", "a refund", "a void", "a capture", "an operation that is due", "a notice that is matched later",
		"a lost race", "an unknown commit", "an expired hold", "a forgotten key",
	} {
		if seen[what] == 0 {
			t.Errorf("there was never %q in %v", what, seen)
		}
	}
}

// audit holds that the store is in order at the end of a history.
func (h *history) audit() {
	h.t.Helper()
	report, err := audit.Run(h.t.Context(), h.fixture.Snapshot(h.t, h.store), audit.Config{MaxFindings: 5})
	h.must(err)
	if !report.OK() {
		h.t.Errorf("%s is not in order (replay with %s=%d): %v and %d more", h.fixture.Name, SeedVariable, h.seed, report.Findings, report.More)
	}
}

// difference shows the first lines that differ, and what led there.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	line := func(lines []string) string {
		if i < len(lines) {
			return lines[i]
		}
		return "(the end)"
	}
	return fmt.Sprintf("%s\n- %s\n+ %s", strings.Join(a[max(0, i-15):i], "\n"), line(a), line(b))
}
