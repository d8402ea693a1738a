package paging

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/oncepay/oncepay/engine"
)

// Row numbers are of all tenants: a cursor shows nothing of them, not even how
// long they are.
func TestCursorsHideTheirPlace(t *testing.T) {
	c := New(make([]byte, 32))
	mine, theirs := List{"events", "acme"}, List{"events", "other"}
	for _, n := range []int64{1, 123456, 1 << 60} {
		cursor := c.Write(mine, Number(n))
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || bytes.Contains(b, []byte(Number(n))) || len(b) != 24 {
			t.Errorf("the cursor of %d is %x, %v", n, b, err)
		}
		other, _ := base64.RawURLEncoding.DecodeString(c.Write(theirs, Number(n)))
		if bytes.Equal(b[16:], other[16:]) {
			t.Errorf("the place %d is %x in the lists of two tenants", n, b[16:])
		}
		if place, err := c.Read(mine, cursor); err != nil || place != Number(n) {
			t.Errorf("it is read as %x, %v", place, err)
		}
	}
}

func TestCursorsThatWereChangedAreBad(t *testing.T) {
	c, l := New(make([]byte, 32)), List{"events", "acme"}
	good, _ := base64.RawURLEncoding.DecodeString(c.Write(l, Number(7)))
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := c.Read(l, base64.RawURLEncoding.EncodeToString(bad)); !errors.Is(err, engine.ErrBadCursor) {
			t.Errorf("with bit %d changed: %v", bit, err)
		}
	}
}
