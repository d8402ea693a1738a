package ledger_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/oncepay/oncepay/ledger"
)

var madeAt = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.FixedZone("CET", 3600))

// The shapes are promised to clients and stored in events: every byte counts.
func TestShapes(t *testing.T) {
	for _, row := range []struct {
		sentence string
		value    interface{ AppendJSON([]byte) []byte }
		want     string
	}{
		{
			"a new account",
			&ledger.Account{Ref: ref("alice"), Currency: "EUR", CreatedAt: madeAt},
			`{"id":"alice","currency":"EUR","min_balance":0,"balance":{"posted":0,"pending":0,"available":0},` +
				`"status":"open","metadata":{},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"a closed account without a floor",
			&ledger.Account{Ref: ref("alice"), Currency: "JPY", Floor: ledger.Floor{None: true, Minor: 7}, Closed: true, CreatedAt: madeAt},
			`{"id":"alice","currency":"JPY","min_balance":null,"balance":{"posted":0,"pending":0,"available":0},` +
				`"status":"closed","metadata":{},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"an account with holds, a negative floor, and metadata in the order of its names",
			&ledger.Account{
				Ref: ref("a\u2028"), Currency: "EUR", Floor: ledger.Floor{Minor: math.MinInt64}, CreatedAt: madeAt,
				Balance:  ledger.Balance{Posted: 1000, Outgoing: 300, Incoming: 50},
				Metadata: map[string]string{"z": "1", "a": "quote \" and \n", "ä": "ö"},
			},
			`{"id":"a` + "\u2028" + `","currency":"EUR","min_balance":-9223372036854775808,"balance":{"posted":1000,"pending":-250,"available":700},` +
				`"status":"open","metadata":{"a":"quote \" and \n","z":"1","ä":"ö"},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"a posted transfer",
			&ledger.Transfer{
				Ref: ref("tr_1"), Status: ledger.Posted, From: "a", To: "b", Amount: math.MaxInt64, AmountPosted: math.MaxInt64,
				Currency: "EUR", CreatedAt: madeAt,
			},
			`{"id":"tr_1","status":"posted","from":"a","to":"b","amount":9223372036854775807,"amount_posted":9223372036854775807,` +
				`"currency":"EUR","reference":null,"reversed_by":null,"reverses":null,"expires_at":null,"metadata":{},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"a transfer with everything",
			&ledger.Transfer{
				Ref: ref("tr_1"), Status: ledger.Expired, From: "a", To: "b", Amount: 5, Currency: "EUR", Reference: "order \"1\"",
				ReversedBy: "tr_3", Reverses: "tr_2", ExpiresAt: madeAt.Add(time.Hour), Metadata: map[string]string{"k": "v"}, CreatedAt: madeAt,
			},
			`{"id":"tr_1","status":"expired","from":"a","to":"b","amount":5,"amount_posted":0,"currency":"EUR","reference":"order \"1\"",` +
				`"reversed_by":"tr_3","reverses":"tr_2","expires_at":"2026-03-01T12:00:00.123456Z","metadata":{"k":"v"},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"a line of a statement: a hold",
			ledger.Entry{
				Seq: 7, Account: ref("a"), Ordinal: 2, Prev: 3, Transfer: "tr_1", Kind: ledger.Hold, Delta: ledger.Balance{Outgoing: 5},
				After: ledger.Balance{Posted: 100, Outgoing: 5}, Currency: "EUR", At: madeAt,
			},
			`{"ordinal":2,"transfer":"tr_1","type":"hold","amount":0,"held":-5,"currency":"EUR",` +
				`"balance":{"posted":100,"pending":-5,"available":95},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
		{
			"a line of a statement: the other side of a settlement",
			ledger.Entry{
				Seq: 8, Account: ref("b"), Ordinal: 4, Prev: 6, Transfer: "tr_1", Kind: ledger.Settle, Delta: ledger.Balance{Posted: 3, Incoming: -5},
				After: ledger.Balance{Posted: 3}, Currency: "EUR", At: madeAt,
			},
			`{"ordinal":4,"transfer":"tr_1","type":"settle","amount":3,"held":-5,"currency":"EUR",` +
				`"balance":{"posted":3,"pending":0,"available":3},"created_at":"2026-03-01T11:00:00.123456Z"}`,
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			got := row.value.AppendJSON([]byte("before:"))
			if string(got) != "before:"+row.want {
				t.Errorf("got\n%s, want\n%s", got, row.want)
			}
			if !json.Valid(got[len("before:"):]) {
				t.Error("that is no JSON")
			}
		})
	}
}

func TestKindsAndStatusesHaveNames(t *testing.T) {
	for kind, want := range map[ledger.Kind]string{ledger.Move: "move", ledger.Hold: "hold", ledger.Settle: "settle", ledger.Release: "release"} {
		if kind.String() != want {
			t.Errorf("kind %d is called %q, want %q", kind, kind, want)
		}
	}
	for status, want := range map[ledger.Status]string{
		ledger.Pending: "pending", ledger.Posted: "posted", ledger.Voided: "voided", ledger.Expired: "expired",
	} {
		if status.String() != want {
			t.Errorf("status %d is called %q, want %q", status, status, want)
		}
	}
}

func TestATransferBeginsOnce(t *testing.T) {
	for kind, first := range map[ledger.Kind]bool{ledger.Move: true, ledger.Hold: true, ledger.Settle: false, ledger.Release: false} {
		if got := (ledger.Entry{Kind: kind}).First(); got != first {
			t.Errorf("a transfer begins with %v: %v, want %v", kind, got, first)
		}
	}
}
