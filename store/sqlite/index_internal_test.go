package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// What is read is read along an index, however much there is: what has one of its
// own along that.
func TestReadsGoAlongTheirIndexes(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "once.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for sql, index := range map[string]string{
		listTransfers:       "PRIMARY KEY (tenant=? AND id>? AND id<?)",
		listAccounts:        "accounts_by_time (tenant=? AND created_at>? AND created_at<?)",
		listEvents:          "events_by_tenant (tenant=? AND rowid<?)",
		listSubjectEvents:   "events_by_subject (tenant=? AND subject=? AND rowid<?)",
		selectDue:           "transfers_due (expires_at>? AND expires_at<?)",
		shelfDue:            "key_shelves_due (due<?)",
		shelfOldest:         "key_shelves_oldest (oldest<?)",
		selectMark:          "PRIMARY KEY (account=? AND at>?)",
		selectKey:           "(key=? AND tenant=?)",
		selectPayment:       "PRIMARY KEY (tenant=? AND id=?)",
		selectOperations:    "PRIMARY KEY (tenant=? AND payment=?)",
		selectPaymentOf:     "(tenant=? AND id=?)",
		listPayments:        "PRIMARY KEY (tenant=? AND id>? AND id<?)",
		listByReference:     "transfers_by_reference (tenant=? AND reference=? AND id>? AND id<?)",
		listOfReference:     "payments_by_reference (tenant=? AND reference=? AND id>? AND id<?)",
		listByStatus:        "payments_by_status (tenant=? AND status=? AND id>? AND id<?)",
		listInDoubt:         "payments_in_doubt (tenant=? AND in_doubt=? AND id>? AND id<?)",
		listDoubtful:        "payments_doubtful (in_doubt=? AND (id,tenant)<(?,?))",
		countInDoubt:        "COVERING INDEX payments_doubtful (in_doubt=?)",
		countReviews:        "COVERING INDEX payments_in_review (status=?)",
		countRefunds:        "COVERING INDEX refunds_in_review (kind=?)",
		madePayments.first:  "PRIMARY KEY (tenant=? AND id>?)",
		firstLines:          "PRIMARY KEY (tenant=? AND payment=?)",
		lastLines:           "PRIMARY KEY (tenant=? AND payment=?)",
		selectDueOperations: "operations_due (gateway=? AND due_at<?)",
		selectNextDue:       "operations_due (gateway>?)",
		selectMatchable:     "notices_matchable (gateway=?)",
		operationNamed:      "(tenant=? AND id=?)",
		operationCharged:    "operations_at_gateway (tenant=? AND gateway_id=?",
		wakeNotices:         "notices_waiting (tenant=? AND waits_for=?",
		dropNotices:         "notices_by_time (at<?)",
		selectReference:     "PRIMARY KEY (tenant=? AND reference=?)",
		updateKey:           "(key=? AND tenant=?)",
	} {
		plan := strings.ReplaceAll(planOf(t, s.w.c, sql), "SCAN (subquery-1)", "") // what an index was read for
		if !strings.Contains(plan, index) || strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nis read by %s", sql, plan)
		}
	}
}

func planOf(t *testing.T, c *conn, sql string) string {
	t.Helper()
	q, err := c.prepare("EXPLAIN QUERY PLAN " + sql)
	if err != nil {
		t.Fatal(err)
	}
	defer q.finalize()
	var plan []string
	for q.next(&err) {
		plan = append(plan, q.columnText(3))
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}
