package engine_test

import (
	"testing"

	"github.com/oncepay/oncepay/contract"
)

func TestMemoryOutbox(t *testing.T) { contract.TestOutbox(t, contract.Memory()) }
