package contract_test

import (
	"testing"

	"github.com/oncepay/oncepay/contract"
)

func TestMemory(t *testing.T) { contract.TestStore(t, contract.Memory()) }
