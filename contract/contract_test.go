package contract_test

import (
	"slices"
	"testing"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/engine"
)

func TestMemory(t *testing.T) { contract.TestEngineStore(t, contract.Memory()) }

// Two stores in memory: a history that is not repeated exactly would compare
// nothing.
func TestHistories(t *testing.T) {
	contract.TestHistories(t, contract.Memory(), contract.Memory())
}

func TestMemoryIsShared(t *testing.T) {
	contract.TestSharedStore(t, func(_ testing.TB, processes int) []engine.Store {
		m := engine.NewMemory()
		return slices.Repeat([]engine.Store{m}, processes)
	})
}
