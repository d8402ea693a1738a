package contract_test

import (
	"testing"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
)

func TestOnceMemory(t *testing.T) {
	contract.TestStore(t, func(testing.TB) once.Store { return once.NewMemory() })
}
