//go:build integration

package pgtest

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// shared is the server of the tests that need no own one. It syncs nothing: it outlives
// no crash, and nobody crashes it.
var shared = sync.OnceValues(func() (*Server, error) {
	s, err := create([]string{"fsync=off", "max_connections=300", "shared_buffers=128MB"})
	if err != nil {
		return nil, err
	}
	begun.Store(s)
	return s, s.start()
})

var (
	begun     atomic.Pointer[Server]
	databases atomic.Int64
)

// Main runs a package's tests, and ends the server that they shared. It is all that
// TestMain does.
func Main(m *testing.M) {
	code := m.Run()
	if s := begun.Load(); s != nil {
		s.remove()
	}
	os.Exit(code)
}

// Database is the URL of a new, empty database on the server that tests share.
func Database(t testing.TB) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprint("test", databases.Add(1))
	s.SQL(t, "postgres", "CREATE DATABASE "+name)
	t.Cleanup(func() { s.SQL(t, "postgres", "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.URL(name)
}
