package audit_test

import (
	"testing"

	"github.com/oncepay/oncepay/audit"
)

// How fast rows are audited when reading them costs nothing.
func BenchmarkRun(b *testing.B) {
	s := healthy(b, 1, 20_000)
	rows, _ := s.Rows(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		if r, err := audit.Run(b.Context(), s, audit.Config{}); err != nil || !r.OK() {
			b.Fatal(err, r.Findings)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
