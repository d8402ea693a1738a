package main

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/demo"
)

// Whatever is wrong, and if it is nothing else, the last line says it.
func TestTheVerdictSaysWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		report   demo.Report
		findings int
		want     string
	}{
		{demo.Report{}, 0, "everything happened exactly once, in 10s"},
		{demo.Report{ChargedTwice: 2}, 0, "this is what it cost, in 10s: 2 payments were charged more than once"},
		{demo.Report{WronglyCharged: 2}, 0, "this is what it cost, in 10s: 2 payments were charged that should not have been"},
		{demo.Report{NotCharged: 2}, 0, "this is what it cost, in 10s: 2 payments were not charged that should have been"},
		{demo.Report{Overcharged: 1250}, 0, "this is what it cost, in 10s: customers paid 12.50 EUR too much"},
		{demo.Report{MovedTwice: 2}, 0, "this is what it cost, in 10s: 2 transfers were made more than once"},
		{demo.Report{NotMoved: 2}, 0, "this is what it cost, in 10s: 2 transfers were never made"},
		{demo.Report{CentsMissing: 5}, 0, "this is what it cost, in 10s: the books are 0.05 EUR apart"},
		{demo.Report{Uncertain: 2}, 0, "this is what it cost, in 10s: 2 orders ended without anybody knowing what became of them"},
		{demo.Report{}, 3, "this is what it cost, in 10s: the audit found 3 things wrong"},
		{demo.Report{NotMoved: 1, CentsMissing: 100}, 0, "this is what it cost, in 10s: 1 transfers were never made; the books are 1.00 EUR apart"},
	} {
		var stdout bytes.Buffer
		d := &demonstration{p: &program{stdout: &stdout}}
		row.report.Took = 10 * time.Second
		err := d.print(&row.report, row.findings, false)
		if good := strings.HasPrefix(row.want, "everything"); good != (err == nil) || err != nil && !errors.Is(err, badNews{}) {
			t.Errorf("%+v, %d findings: it ends with %v", row.report, row.findings, err)
		}
		if lines := strings.Split(strings.TrimSpace(stdout.String()), "\n"); lines[len(lines)-1] != row.want {
			t.Errorf("%+v, %d findings: it says\n%s, want\n%s", row.report, row.findings, lines[len(lines)-1], row.want)
		}
	}
}

// There is no count that makes a report bad and is not told of.
func TestNoReportIsBadWithoutAWord(t *testing.T) {
	for i := range reflect.TypeFor[demo.Report]().NumField() {
		var r demo.Report
		f := reflect.ValueOf(&r).Elem().Field(i)
		if !f.CanInt() {
			continue
		}
		f.SetInt(1)
		if name := reflect.TypeFor[demo.Report]().Field(i).Name; r.OK() != (len(wrongs(&r, 0)) == 0) {
			t.Errorf("with one %s the report is in order: %v, and told is %q", name, r.OK(), wrongs(&r, 0))
		}
	}
}

func TestChargesPerPayment(t *testing.T) {
	for most, want := range []string{"0", "1", "up to 2"} {
		if got := perPayment(&demo.Report{MostCharges: most}); got != want {
			t.Errorf("at most %d charges: it says %q, want %q", most, got, want)
		}
	}
}
