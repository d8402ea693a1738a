package sqlite

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // prepares the library on platforms where it has to be
	lib "modernc.org/sqlite/lib"
)

// conn is one connection to SQLite. It calls the library below database/sql and
// its driver: those allocate for every value and every statement, which was a
// third of what a transfer costs. A conn is not safe for concurrent use.
type conn struct {
	tls *libc.TLS
	db  uintptr
	all map[string]*stmt // statements that were prepared by their text
}

// How a conn is opened.
const (
	readWrite = lib.SQLITE_OPEN_READWRITE | lib.SQLITE_OPEN_CREATE
	readOnly  = lib.SQLITE_OPEN_READONLY
)

// busyMillis is how long a conn waits for a lock: they are held for moments
// only, but for a log that is being recovered.
const busyMillis = 5000

// openConn opens the file at name, which is a path, or a URI if it begins with
// "file:". Without a mutex of its own: one goroutine at a time uses a conn.
func openConn(name string, flags int32) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), all: map[string]*stmt{}}
	path, err := libc.CString(name)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, path)
	handle := c.tls.Alloc(8)
	defer c.tls.Free(8)
	rc := lib.Xsqlite3_open_v2(c.tls, path, handle, flags|lib.SQLITE_OPEN_NOMUTEX|lib.SQLITE_OPEN_URI, 0)
	c.db = word(handle)
	if rc != lib.SQLITE_OK {
		err := c.failure(rc, "open "+name)
		c.close()
		return nil, err
	}
	lib.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	lib.Xsqlite3_busy_timeout(c.tls, c.db, busyMillis)
	return c, nil
}

// close finalizes the statements and closes the connection.
func (c *conn) close() error {
	if c.tls == nil {
		return nil
	}
	for _, s := range c.all {
		s.finalize()
	}
	rc := lib.Xsqlite3_close_v2(c.tls, c.db)
	c.tls.Close()
	c.tls = nil
	if rc != lib.SQLITE_OK {
		return &libError{code: int(rc), text: "close"}
	}
	return nil
}

// stmt returns the statement for sql, prepared when it is first asked for.
func (c *conn) stmt(sql string) (*stmt, error) {
	if s, ok := c.all[sql]; ok {
		return s, nil
	}
	s, err := c.prepare(sql)
	if err != nil {
		return nil, err
	}
	c.all[sql] = s
	return s, nil
}

func (c *conn) prepare(sql string) (*stmt, error) {
	text, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	handle := c.tls.Alloc(8)
	defer c.tls.Free(8)
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, lib.SQLITE_PREPARE_PERSISTENT, handle, 0)
	if rc != lib.SQLITE_OK {
		return nil, c.failure(rc, sql)
	}
	return &stmt{c: c, p: word(handle), sql: sql}, nil
}

// leave resets the statements whose rows were left early: they would keep the
// transaction open, and with it the log from beginning anew.
func (c *conn) leave() {
	for _, s := range c.all {
		if s.onRow {
			s.reset()
		}
	}
}

// script runs statements that take no values and whose rows nobody reads.
func (c *conn) script(sql string) error {
	text, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := lib.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != lib.SQLITE_OK {
		return c.failure(rc, sql)
	}
	return nil
}

// integer runs a statement that returns one integer, or no row, which is 0.
func (c *conn) integer(sql string) (n int64, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	defer s.finalize()
	if row, err := s.step(); err != nil || !row {
		return 0, err
	}
	return s.columnInt(0), nil
}

// inTransaction says whether a transaction is open: some errors end it by
// themselves.
func (c *conn) inTransaction() bool {
	return lib.Xsqlite3_get_autocommit(c.tls, c.db) == 0
}

// checkpoint moves what is in the write-ahead log into the database file, and
// says how many pages are in the log and how many of them were moved.
func (c *conn) checkpoint(mode int32) (logged, moved int, err error) {
	counts := c.tls.Alloc(8)
	defer c.tls.Free(8)
	rc := lib.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, mode, counts, counts+4)
	n := memory(counts, 8)
	logged, moved = int(int32(binary.NativeEndian.Uint32(n))), int(int32(binary.NativeEndian.Uint32(n[4:])))
	if rc != lib.SQLITE_OK {
		return logged, moved, c.failure(rc, "checkpoint")
	}
	return logged, moved, nil
}

// failure is the error of the last call, which returned rc.
func (c *conn) failure(rc int32, doing string) error {
	e := &libError{code: int(rc), text: libc.GoString(lib.Xsqlite3_errstr(c.tls, rc)), doing: doing}
	if c.db != 0 {
		e.errno = int(lib.Xsqlite3_system_errno(c.tls, c.db))
		if lib.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
			e.text = libc.GoString(lib.Xsqlite3_errmsg(c.tls, c.db))
		}
	}
	return e
}

// memory is n bytes of the library's memory, which Go's garbage collector does
// not know: they are valid for as long as the library says.
func memory(p uintptr, n int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n)
}

func word(p uintptr) uintptr {
	return **(**uintptr)(unsafe.Pointer(&p))
}

// libError is an error of the library.
type libError struct {
	code  int // the extended result code
	errno int // the operating system's, of the last call that failed
	text  string
	doing string
}

func (e *libError) Error() string {
	return fmt.Sprintf("%s (%d): %.80s", e.text, e.code, strings.Join(strings.Fields(e.doing), " "))
}

// primary is the result code without its extension.
func (e *libError) primary() int { return e.code & 0xff }
