//go:build integration

package pgkeys_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// Through PgBouncer, which gives every transaction another session, all is as it is.
func TestThroughPgBouncer(t *testing.T) {
	through := startBouncer(t, pgtest.Database(t))
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe} {
		t.Run(mode.String(), func(t *testing.T) {
			s := newShop(t, openPool(t, through, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }), pgkeys.Config{})
			results := make([]int64, 60)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() {
					var err error
					item := fmt.Sprint(mode, " tea ", i%20)
					if results[i], err = s.buy(t.Context(), fmt.Sprint(int(mode), "-", i%20), item, nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i, n := range results {
				if n != results[i%20] || s.sold(t, fmt.Sprint(mode, " tea ", i%20)) != 1 {
					t.Errorf("key %d got %d and %d", i%20, results[i%20], n)
				}
			}
		})
	}
}

// startBouncer starts one before a database, with two sessions there, and returns the
// database's URL through it.
func startBouncer(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir, err := os.MkdirTemp("", "pgbouncer") // where its own user may read
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ini := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
`, u.Hostname(), u.Port(), port)
	if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", ini}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "postgres"}, args...)
	}
	cmd := exec.Command("pgbouncer", args...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: scripts/deps installs PgBouncer", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	u.Host = fmt.Sprint("127.0.0.1:", port)
	until(t, "it listens", func() bool {
		c, err := net.Dial("tcp", u.Host)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return u.String()
}
