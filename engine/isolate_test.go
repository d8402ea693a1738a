package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// After a defect those who came with it are decided one by one; who comes later
// shares commits as ever.
func TestWhoComesAfterADefectIsBatchedAgain(t *testing.T) {
	store := newBank(t)
	most := 0
	s := engine.NewStep(engine.Config{Since: day})
	bad := transferOne("bad", 1)
	bad.Command = defective{func() (ledger.Result, error) { return ledger.Result{}, errBroken }}
	s.Submit(bad, day)
	for i := range 9 {
		s.Submit(transferOne(fmt.Sprint("with ", i), 1), day)
	}
	if o := drive(t, s, bounded{store, &most})[bad]; !errors.Is(o.Err, engine.ErrInternal) {
		t.Fatalf("the defect: %+v", o)
	}
	if most != 1 {
		t.Errorf("beside the defect a commit had %d keys, want 1", most)
	}
	for i := range 10 {
		s.Submit(transferOne(fmt.Sprint("after ", i), 1), day)
	}
	drive(t, s, bounded{store, &most})
	if most != 10 {
		t.Errorf("later the largest commit had %d keys, want 10", most)
	}
}
