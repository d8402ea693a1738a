package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

// defective is a command with a defect.
type defective struct{ decide func() (ledger.Result, error) }

func (defective) Needs(*ledger.Book) {}
func (b defective) Decide(*ledger.Book, ledger.Moment) (ledger.Result, error) {
	return b.decide()
}

var errBroken = errors.New("a row is not there")

// A request with a defect fails alone: what came with it, before it and after
// it, is executed in its order, and the executor goes on.
func TestADefectFailsAlone(t *testing.T) {
	for name, decide := range map[string]func() (ledger.Result, error){
		"a panic":               func() (ledger.Result, error) { panic("nil somewhere") },
		"an error, no refusal":  func() (ledger.Result, error) { return ledger.Result{}, errBroken },
		"a result with nothing": func() (ledger.Result, error) { return ledger.Result{}, nil },
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", shared ", shared), func(t *testing.T) {
				e := engine.New(newBank(t), engine.Config{Shared: shared})
				defer e.Close(context.Background())
				bad := transferOne("bad", 1)
				bad.Command = defective{decide}
				outcomes := e.DoAll(t.Context(), []*engine.Job{transferOne("k1", 1), transferOne("k2", 1), bad, transferOne("k3", 1)})
				for i, o := range outcomes {
					if failed := i == 2; errors.Is(o.Err, engine.ErrInternal) != failed || (o.Err == nil) == failed {
						t.Errorf("job %d: %v", i, o.Err)
					}
				}
				if first, last := outcomes[0].Answer.Body, outcomes[3].Answer.Body; strings.Compare(string(first), string(last)) >= 0 {
					t.Errorf("decided out of order: %s is not before %s", first, last)
				}
				if o := e.Do(t.Context(), transferOne("k4", 1)); o.Err != nil {
					t.Errorf("afterwards: %v", o.Err)
				}
			})
		}
	}
}
