package sqlite

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Numbers in SQL, which the indexes want to see, are those of the program, and
// each is named.
func TestNumbersInSQLAreNamed(t *testing.T) {
	number := regexp.MustCompile(`(state|status) (IN \(|= )\d`)
	for sql, names := range map[string][]fmt.Stringer{
		selectDue:   {ledger.Pending},
		dropKeys:    {once.Done, once.Tombstone},
		updateShelf: {once.Done, once.Tombstone},
	} {
		if !number.MatchString(sql) {
			t.Errorf("%s: there is no number", sql)
		}
		for _, n := range names {
			if named := fmt.Sprintf("%d /* %s */", n, n); !strings.Contains(sql, named) {
				t.Errorf("%s: want %s", sql, named)
			}
		}
	}
}
