package postgres

import "testing"

// The id of the next transaction is put together from one that has 64 bits and lags, and
// from one that has 32.
func TestTheNextTransactionsID(t *testing.T) {
	for name, row := range map[string]struct{ afterEnded, next int64 }{
		"none is at work":                         {1000, 1000},
		"some are":                                {1000, 1007},
		"the 32 bits have begun anew":             {5<<32 + 17, 5<<32 + 20},
		"they begin anew between the two":         {1<<32 - 2, 1<<32 + 5},
		"the age is beyond what is not negative":  {3<<31 + 9, 3<<31 + 9},
		"the age is beyond, and some are at work": {3<<31 + 9, 3<<31 + 90},
	} {
		age := int64(int32(uint32(row.next) - 3)) // as the server counts
		if got := nextID(row.afterEnded, age); got != row.next {
			t.Errorf("%s: got %d, want %d", name, got, row.next)
		}
	}
}
