//go:build integration

package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Bin is where the programs of PostgreSQL are: what PGBIN says, or where Debian puts
// those of version 15.
func Bin() string {
	if dir := os.Getenv("PGBIN"); dir != "" {
		return dir
	}
	return "/usr/lib/postgresql/15/bin"
}

// Server is a PostgreSQL server. Its superuser is postgres, and needs no password.
type Server struct {
	Dir  string // its data
	Port string

	as       *syscall.Credential
	settings []string
	cmd      *exec.Cmd
	log      bytes.Buffer // read it when the process has ended
	gone     chan struct{}
}

// Start makes a server and starts it. Settings are lines of postgresql.conf, beside which
// all is as PostgreSQL has it, so commits are synced. It is gone when the test ends.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := create(settings)
	if err == nil {
		t.Cleanup(s.remove)
		err = s.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Clone starts a server on a copy of another's data, which pg_basebackup makes: with
// "-R" among the arguments it is that server's standby.
func (s *Server) Clone(t testing.TB, args []string, settings ...string) *Server {
	t.Helper()
	c, err := empty(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.remove)
	args = append([]string{"-D", c.Dir, "-h", "127.0.0.1", "-p", s.Port, "-U", "postgres", "-c", "fast", "--no-sync"}, args...)
	if err = c.run("pg_basebackup", args...); err == nil {
		err = c.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// empty is a server that has no data yet.
func empty(settings []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: filepath.Join(dir, "data"), settings: settings}
	if os.Getuid() != 0 {
		return s, nil
	}
	if s.as, err = unprivileged(); err != nil { // PostgreSQL does not run as root
		return nil, err
	}
	return s, os.Chown(dir, int(s.as.Uid), int(s.as.Gid))
}

// unprivileged is the user that Debian's package makes, or nobody.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
	}
	return nil, errors.New("pgtest: neither a user postgres nor nobody is there to run PostgreSQL as")
}

func create(settings []string) (*Server, error) {
	s, err := empty(settings)
	if err != nil {
		return nil, err
	}
	return s, s.run("initdb", "-D", s.Dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

// run runs one of PostgreSQL's programs to its end, as the server's user.
func (s *Server) run(program string, args ...string) error {
	cmd := s.Command(program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: %s: %w\n%s\nscripts/deps installs PostgreSQL", program, err, out)
	}
	return nil
}

// Command is one of PostgreSQL's programs, to be run as the server's user.
func (s *Server) Command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(Bin(), program), args...)
	cmd.Dir = "/" // the user may not see the test's
	cmd.SysProcAttr = s.attributes()
	return cmd
}

// attributes have a process run as the server's user, and end with the test.
func (s *Server) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
}

// start starts the server's process, on the port that it had, or on a free one.
func (s *Server) start() (err error) {
	for range 5 { // somebody else may take the port that was free
		port := s.Port
		if port == "" {
			port = freePort()
		}
		if err = s.startOn(port); err == nil {
			s.Port = port
			return nil
		}
	}
	return err
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func (s *Server) startOn(port string) error {
	args := []string{"-D", s.Dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="}
	for _, line := range s.settings {
		args = append(args, "-c", line)
	}
	s.log.Reset()
	cmd, gone := s.Command("postgres", args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: %w: scripts/deps installs PostgreSQL", err)
	}
	s.cmd, s.gone = cmd, gone
	go func() { cmd.Wait(); close(gone) }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-gone:
			return fmt.Errorf("pgtest: the server has ended:\n%s", s.log.String())
		default:
		}
		if s.Command("pg_isready", "-q", "-h", "127.0.0.1", "-p", port).Run() == nil {
			return nil
		}
	}
	return errors.New("pgtest: the server does not answer")
}

// URL is that of a database.
func (s *Server) URL(database string) string {
	return "postgres://postgres@127.0.0.1:" + s.Port + "/" + database + "?sslmode=disable"
}

// Addr is where the server listens.
func (s *Server) Addr() string { return "127.0.0.1:" + s.Port }

// SQL has psql run statements, and returns what it prints: one row to a line.
func (s *Server) SQL(t testing.TB, database, sql string) string {
	t.Helper()
	out, err := s.Command("psql", "-XqAtv", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", s.Port, "-U", "postgres", "-c", sql, database).CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Shell has bash run a script as the server's user, beside the server's data, which is
// PGDATA: PostgreSQL's programs reach this server without a word. Env are more variables.
func (s *Server) Shell(t testing.TB, script string, env ...string) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = filepath.Dir(s.Dir)
	cmd.Env = append(os.Environ(), "PATH="+Bin()+":"+os.Getenv("PATH"), "HOME="+cmd.Dir,
		"PGHOST=127.0.0.1", "PGPORT="+s.Port, "PGUSER=postgres", "PGDATA="+s.Dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = s.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
}

// Stop ends the server in order: connections are cut, and what was committed is written.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Crash ends all of the server's processes at once, as if its machine had: what it starts
// with next is what had been synced.
func (s *Server) Crash() { s.end(syscall.SIGQUIT) }

func (s *Server) end(how syscall.Signal) {
	if s.cmd != nil {
		s.cmd.Process.Signal(how)
		<-s.gone
	}
}

// Restart starts the server again, where it was.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Promote makes a standby a primary, and waits until it is one.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", "promote", "-w", "-D", s.Dir); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) remove() {
	s.Crash()
	os.RemoveAll(filepath.Dir(s.Dir))
}
