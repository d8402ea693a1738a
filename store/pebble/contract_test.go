package pebble_test

import (
	"testing"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
)

func TestContract(t *testing.T) {
	contract.TestStore(t, func(tb testing.TB) once.Store { return open(tb, tb.TempDir()) })
}
