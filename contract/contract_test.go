package contract_test

import (
	"testing"

	"github.com/oncepay/oncepay/contract"
)

func TestMemory(t *testing.T) { contract.TestEngineStore(t, contract.Memory()) }

// Two stores in memory: a history that is not repeated exactly would compare
// nothing.
func TestHistories(t *testing.T) {
	contract.TestHistories(t, contract.Memory(), contract.Memory())
}
