package telemetry_test

import (
	"fmt"
	"testing"

	"github.com/oncepay/oncepay/internal/telemetry"
)

func TestOperationsAreBounded(t *testing.T) {
	o := telemetry.Operations{Max: 2}
	for i, want := range []string{"0", "1", "other", "other"} {
		if got := o.Name(fmt.Sprint(i)); got != want {
			t.Errorf("the operation %d is %q, want %q", i, got, want)
		}
	}
	if got := o.Name("1"); got != "1" {
		t.Errorf("one that has its place becomes %q", got)
	}
}

func TestOperationsAreUTF8(t *testing.T) {
	o := telemetry.Operations{Max: 1}
	for range 2 {
		if got := o.Name("POST /\xff"); got != "POST /?" {
			t.Errorf("it is %q", got)
		}
	}
}
