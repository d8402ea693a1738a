package postgres

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Rows are written column by column: a statement is given an array for each column of
// all its rows.

// columns are the values of some rows. They are bound row by row, from left to right;
// next begins a row.
type columns struct {
	arrays []any
	at     int
	rows   int64
}

func (c *columns) next() *columns { c.at = 0; c.rows++; return c }

func add[T any](c *columns, v T) *columns {
	if c.at == len(c.arrays) {
		c.arrays = append(c.arrays, []T{})
	}
	c.arrays[c.at] = append(c.arrays[c.at].([]T), v)
	c.at++
	return c
}

func (c *columns) int(n int64) *columns   { return add(c, n) }
func (c *columns) text(s string) *columns { return add(c, writeText(s)) }

func (c *columns) bool(is bool) *columns {
	if is {
		return add[int64](c, 1)
	}
	return add[int64](c, 0)
}

func (c *columns) intOrNull(n int64, null bool) *columns {
	if null {
		return add[*int64](c, nil)
	}
	return add(c, &n)
}

func (c *columns) textOrNull(s string) *columns {
	if s == "" {
		return add[*string](c, nil)
	}
	s = writeText(s)
	return add(c, &s)
}

func (c *columns) time(t time.Time) *columns       { return c.int(micros(t)) }
func (c *columns) timeOrNull(t time.Time) *columns { return c.intOrNull(micros(t), t.IsZero()) }

// bytes binds bytes; nil is null.
func (c *columns) bytes(b []byte) *columns { return add(c, b) }

// metadata binds names and values as JSON, none as null.
func (c *columns) metadata(m map[string]string) *columns {
	if m == nil {
		return c.textOrNull("")
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings can always be written
	}
	return c.textOrNull(string(b))
}

// row is a row that is read from left to right. It is valid until the next is read.
type row struct {
	values [][]byte
	fields []pgconn.FieldDescription
	at     int
	err    error // the first value that is not what it should be
}

func readRow(rows pgx.Rows) *row {
	return &row{values: rows.RawValues(), fields: rows.FieldDescriptions()}
}

func (r *row) take() (value []byte, binary bool) {
	value, binary = r.values[r.at], r.fields[r.at].Format == pgx.BinaryFormatCode
	r.at++
	return value, binary
}

// null says whether the next value is null, and leaves it.
func (r *row) null() bool { return r.values[r.at] == nil }

// int reads a number, a null as 0.
func (r *row) int() (n int64) {
	value, binary := r.take()
	switch {
	case value == nil:
		return 0
	case !binary:
		var err error
		if n, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			r.fail("a number is none")
		}
		return n
	case len(value) != 2 && len(value) != 4 && len(value) != 8:
		r.fail("a number has %d bytes", len(value))
		return 0
	}
	n = int64(int8(value[0]))
	for _, b := range value[1:] {
		n = n<<8 | int64(b)
	}
	return n
}

func (r *row) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("column %s: "+format, append([]any{r.fields[r.at-1].Name}, args...)...)
	}
}

// text reads a text, a null as "".
func (r *row) text() string {
	value, _ := r.take()
	return readText(string(value))
}

func (r *row) bool() bool      { return r.int() != 0 }
func (r *row) time() time.Time { return fromMicros(r.int()) }

// bytes reads bytes; they are the caller's.
func (r *row) bytes() []byte {
	value, binary := r.take()
	if value == nil {
		return nil
	}
	if binary {
		return append([]byte{}, value...)
	}
	b, err := hex.DecodeString(strings.TrimPrefix(string(value), `\x`))
	if err != nil {
		r.fail("bytes are none")
	}
	return b
}

func (r *row) metadata() (m map[string]string) {
	if r.null() {
		r.at++
		return nil
	}
	if err := json.Unmarshal([]byte(r.text()), &m); err != nil {
		r.fail("metadata is no JSON object of strings")
	}
	return m
}

// Times are kept as microseconds since 1970; the zero time as 0.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

const endOfTime = math.MaxInt64

// PostgreSQL keeps no NUL in a text, and nothing that is not UTF-8. Bytes that it would
// refuse are kept as U+0001 and two hexadecimal digits, and so is U+0001.
const escape = '\x01'

func writeText(s string) string {
	if !strings.ContainsAny(s, "\x00\x01") && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == escape || r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, "%c%02x", escape, s[i])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

func readText(s string) string {
	if strings.IndexByte(s, escape) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == escape && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
