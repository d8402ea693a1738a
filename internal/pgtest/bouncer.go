//go:build integration

package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Bouncer starts a PgBouncer before a database, in transaction mode and with few sessions
// there, so that transactions get those of others. It returns the database's URL through it.
func Bouncer(t testing.TB, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port, ini := freePort(), filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
`, u.Hostname(), u.Port(), port, bouncerSessions)
	if Prepares(t) {
		text += "max_prepared_statements = 100\n"
	}
	if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // its own user reads there
		t.Fatal(err)
	}
	args := []string{"-q", ini}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "postgres"}, args...)
	}
	cmd := exec.Command("pgbouncer", args...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("pgtest: %v: scripts/deps installs PgBouncer", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	u.Host = net.JoinHostPort("127.0.0.1", port)
	if err := listening(u.Host); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// Prepares says whether the PgBouncer that is installed knows of prepared statements, so that
// clients may have some: from 1.21 on.
func Prepares(t testing.TB) bool {
	t.Helper()
	out, err := exec.Command("pgbouncer", "--version").Output()
	var major, minor int
	if err == nil {
		_, err = fmt.Sscanf(string(out), "PgBouncer %d.%d", &major, &minor)
	}
	if err != nil {
		t.Fatalf("pgtest: %q %v: scripts/deps installs PgBouncer", out, err)
	}
	return major > 1 || minor >= 21
}

// bouncerSessions are fewer than anybody's connections.
const bouncerSessions = 2

// listening waits until somebody listens there.
func listening(addr string) (err error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("pgtest: nobody listens: %w", err)
}
