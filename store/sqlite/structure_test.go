package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/store/sqlite"
)

// One flipped bit in an index makes a key unfindable although its row is there:
// its request would run again. The audit says so.
func TestADamagedIndexIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oncepay.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	b := newTeller(s)
	b.keyed = func(int) string { return "order-42" }
	open := ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: "a"}, Currency: "EUR"}
	if err := s.Commit(t.Context(), b.decide(t, open)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flipInIndex(t, path, "order-42")

	r, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := audit.Run(t.Context(), r, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || report.Findings[0].Kind != audit.Structure || !strings.Contains(report.Findings[0].Detail, "index") {
		t.Errorf("findings: %+v", report.Findings)
	}
}

// flipInIndex flips a bit of a key where it stands before its tenant: in the
// index of keys, where both make the entry.
func flipInIndex(t *testing.T, path, key string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(file, []byte(key+"acme"))
	if at < 0 {
		t.Fatal("the key is nowhere")
	}
	file[at] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}
