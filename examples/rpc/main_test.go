package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain is the service, or its client, where a test has asked for it.
func TestMain(m *testing.M) {
	if os.Getenv("RPC_ARGS") == "" {
		os.Exit(m.Run())
	}
	os.Args = append(os.Args[:1], strings.Fields(os.Getenv("RPC_ARGS"))...)
	main()
}

// process is the service, or its client, as a process of its own.
func process(args string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "RPC_ARGS="+args)...)
	return cmd
}

// open opens the service, and returns where it is.
func open(t *testing.T, dir, addr string, env ...string) (at string, cmd *exec.Cmd) {
	t.Helper()
	cmd = process("-addr "+addr+" -lease 1s -dir "+dir, env...)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, at, found := strings.Cut(lines.Text(), "clients come to "); found {
			go io.Copy(io.Discard, out)
			return at, cmd
		}
	}
	t.Fatal("it ends, and has said nothing")
	return "", nil
}

// charge is a client that calls, and returns what it is told.
func charge(t *testing.T, args string) (id string, well bool) {
	t.Helper()
	out, err := process(args).Output()
	return strings.TrimSpace(string(out)), err == nil
}

// A charge is made once: called for twice, after a restart, and when the service died
// after it had charged and before it knew.
func TestChargesAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	at, cmd := open(t, dir, "127.0.0.1:0", "RPC_DIES=charged")

	// The client that the service dies under goes on calling, until the next one answers.
	type told struct {
		id   string
		well bool
	}
	first := make(chan told)
	go func() {
		id, well := charge(t, "-call 450 -key order-42 -addr "+at)
		first <- told{id, well}
	}()
	if cmd.Wait() == nil {
		t.Error("it should have died where it has charged")
	}
	_, cmd = open(t, dir, at)
	got := <-first
	if !got.well || got.id == "" {
		t.Fatalf("the client that goes on is told %q", got.id)
	}
	if id, well := charge(t, "-call 450 -key order-42 -addr "+at); !well || id != got.id {
		t.Errorf("a repeat is told %q, %v; the first was %q", id, well, got.id)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	open(t, dir, at)
	if id, well := charge(t, "-call 450 -key order-42 -addr "+at); !well || id != got.id {
		t.Errorf("after a restart it is told %q, %v; the first was %q", id, well, got.id)
	}
	if _, well := charge(t, "-call 999 -key order-42 -addr "+at); well {
		t.Error("another request under the key is taken")
	}
	if id, well := charge(t, "-call 20 -key order-42 -user bob -addr "+at); !well || id == got.id {
		t.Errorf("another caller's is told %q, %v", id, well)
	}
	for range 2 { // each makes a key of its own
		if _, well := charge(t, "-call 1 -addr "+at); !well {
			t.Error("a new charge is refused")
		}
	}
	charges, err := os.ReadFile(filepath.Join(dir, "charges"))
	if n := strings.Count(string(charges), "\n"); err != nil || n != 4 || strings.Count(string(charges), got.id) != 1 {
		t.Errorf("the bank has %q, %v", charges, err)
	}
}
