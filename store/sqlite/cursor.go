package sqlite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/oncepay/oncepay/engine"
)

// cursors makes and reads the cursors of lists. A cursor is a place in a list
// and a mark that it was made here, for that list and no other.
type cursors struct{ key []byte }

func newCursors(secret []byte) cursors {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("oncepay cursor v1"))
	return cursors{mac.Sum(nil)}
}

// cursorMark is how many bytes of the mark are kept: a forged cursor could show
// nothing but another place in the same list.
const cursorMark = 8

// list names a list: whose it is, of what, and how it is narrowed.
type list []string

func (c cursors) write(l list, place string) string {
	return base64.RawURLEncoding.EncodeToString(append(c.mark(l, place), place...))
}

// read returns the place that a cursor of the list l stands for.
func (c cursors) read(l list, cursor string) (place string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) <= cursorMark {
		return "", engine.ErrBadCursor
	}
	place = string(b[cursorMark:])
	if !hmac.Equal(b[:cursorMark], c.mark(l, place)) {
		return "", engine.ErrBadCursor
	}
	return place, nil
}

func (c cursors) mark(l list, place string) []byte {
	mac := hmac.New(sha256.New, c.key)
	for _, part := range append(l, place) {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return mac.Sum(nil)[:cursorMark]
}

// Places are numbers or ids, and sometimes two of them.

func number(n int64) string { return strconv.FormatInt(n, 10) }

func readNumber(place string) (int64, error) {
	n, err := strconv.ParseInt(place, 10, 64)
	if err != nil {
		return 0, engine.ErrBadCursor
	}
	return n, nil
}

func readNumbers(place string) (a, b int64, err error) {
	first, second, _ := strings.Cut(place, ",")
	if a, err = readNumber(first); err != nil {
		return 0, 0, err
	}
	b, err = readNumber(second)
	return a, b, err
}
