package postgres

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/oncepay/oncepay/engine"
)

// cursors makes and reads the cursors of lists. A cursor is a place in a list
// and a mark that it was made here, for that list and no other.
//
// The place is encrypted: row numbers count the rows of all tenants, and say to
// each how much the others do. The mark is what the encryption begins with, as
// in RFC 5297 (SIV), so that there is no nonce to be used twice.
type cursors struct {
	marks  []byte // the key of marks
	places cipher.Block
}

func newCursors(secret []byte) cursors {
	block, err := aes.NewCipher(derive(secret, "oncepay cursor v1: place"))
	if err != nil {
		panic(err) // the key has the wrong length
	}
	return cursors{derive(secret, "oncepay cursor v1: mark"), block}
}

func derive(secret []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// list names a list: whose it is, of what, and how it is narrowed.
type list []string

func (c cursors) write(l list, place string) string {
	mark := c.mark(l, place)
	return base64.RawURLEncoding.EncodeToString(append(mark, c.crypt(mark, []byte(place))...))
}

// read returns the place that a cursor of the list l stands for.
func (c cursors) read(l list, cursor string) (place string, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= aes.BlockSize {
		return "", engine.ErrBadCursor
	}
	mark, hidden := b[:aes.BlockSize], b[aes.BlockSize:]
	place = string(c.crypt(mark, hidden))
	if !hmac.Equal(mark, c.mark(l, place)) {
		return "", engine.ErrBadCursor
	}
	return place, nil
}

// crypt encrypts a place, or decrypts it.
func (c cursors) crypt(mark, place []byte) []byte {
	to := make([]byte, len(place))
	cipher.NewCTR(c.places, mark).XORKeyStream(to, place)
	return to
}

func (c cursors) mark(l list, place string) []byte {
	mac := hmac.New(sha256.New, c.marks)
	for _, part := range append(l, place) {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return mac.Sum(nil)[:aes.BlockSize]
}

// Places are numbers or ids, and sometimes two numbers. All numbers are of one
// length: the length of a cursor is not hidden.

func number(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func readNumber(place string) (int64, error) {
	if len(place) != 8 {
		return 0, engine.ErrBadCursor
	}
	return int64(binary.BigEndian.Uint64([]byte(place))), nil
}

func readNumbers(place string) (a, b int64, err error) {
	if len(place) != 16 {
		return 0, 0, engine.ErrBadCursor
	}
	if a, err = readNumber(place[:8]); err != nil {
		return 0, 0, err
	}
	b, err = readNumber(place[8:])
	return a, b, err
}
