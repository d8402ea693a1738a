// Package paging makes and reads the cursors of lists.
//
// # What is promised
//
// A cursor is read for the very list that it was made for, and by whoever has the secret that it was made
// with; any other is an engine.ErrBadCursor. It shows nothing of the place that it stands for, but how long
// that is.
//
// # What is not promised
//
// That the place is still there: what was behind it is what follows.
package paging

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

// Cursors makes and reads cursors. A cursor is a place in a list
// and a mark that it was made here, for that list and no other.
//
// The place is encrypted: row numbers count the rows of all tenants, and say to
// each how much the others do. The mark is what the encryption begins with, as
// in RFC 5297 (SIV), so that there is no nonce to be used twice.
type Cursors struct {
	marks  []byte // the key of marks
	places cipher.Block
}

// New takes the secret of a store, 32 bytes.
func New(secret []byte) Cursors {
	block, err := aes.NewCipher(derive(secret, "oncepay cursor v1: place"))
	if err != nil {
		panic(err) // the key has the wrong length
	}
	return Cursors{derive(secret, "oncepay cursor v1: mark"), block}
}

func derive(secret []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// List names a list: whose it is, of what, and how it is narrowed.
type List []string

// Write returns the cursor that stands for a place in a list.
func (c Cursors) Write(l List, place string) string {
	mark := c.mark(l, place)
	return base64.RawURLEncoding.EncodeToString(append(mark, c.crypt(mark, []byte(place))...))
}

// Read returns the place that a cursor of the list l stands for.
func (c Cursors) Read(l List, cursor string) (place string, err error) {
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
func (c Cursors) crypt(mark, place []byte) []byte {
	to := make([]byte, len(place))
	cipher.NewCTR(c.places, mark).XORKeyStream(to, place)
	return to
}

func (c Cursors) mark(l List, place string) []byte {
	mac := hmac.New(sha256.New, c.marks)
	for _, part := range append(l, place) {
		mac.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return mac.Sum(nil)[:aes.BlockSize]
}

// Places are numbers or ids, and sometimes two numbers. All numbers are of one
// length: the length of a cursor is not hidden.

// Number is a place that is a number.
func Number(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// ReadNumber reads what Number made.
func ReadNumber(place string) (int64, error) {
	if len(place) != 8 {
		return 0, engine.ErrBadCursor
	}
	return int64(binary.BigEndian.Uint64([]byte(place))), nil
}

// ReadNumbers reads two.
func ReadNumbers(place string) (a, b int64, err error) {
	if len(place) != 16 {
		return 0, 0, engine.ErrBadCursor
	}
	if a, err = ReadNumber(place[:8]); err != nil {
		return 0, 0, err
	}
	b, err = ReadNumber(place[8:])
	return a, b, err
}
