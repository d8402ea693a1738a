package dedup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func exampleDir() (string, func()) {
	dir, err := os.MkdirTemp("", "dedup-")
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// One Index owns a directory.
func TestOwned(t *testing.T) {
	dir := t.TempDir()
	x, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Config{}); !errors.Is(err, ErrOwned) {
		t.Errorf("opened twice: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{Window: time.Millisecond}, {Window: 31 * 24 * time.Hour}, {Table: 1000}, {Table: 1 << 30}} {
		if _, err := Open(t.TempDir(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// deadly is a directory whose n-th operation kills the process, half of the time in
// the middle of it.
type deadly struct {
	directory
	left *atomic.Int64
}

func (d deadly) tick() {
	if d.left.Add(-1) == 0 {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d deadly) create(name string) (file, error) {
	d.tick()
	f, err := d.directory.create(name)
	return deadlyFile{f, d}, err
}

func (d deadly) open(name string) (file, error) {
	f, err := d.directory.open(name)
	return deadlyFile{f, d}, err
}

func (d deadly) rename(from, to string) error { d.tick(); return d.directory.rename(from, to) }
func (d deadly) remove(name string) error     { d.tick(); return d.directory.remove(name) }
func (d deadly) sync() error                  { d.tick(); return d.directory.sync() }

type deadlyFile struct {
	file
	disk deadly
}

func (f deadlyFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.left.Load() == 1 {
		f.file.WriteAt(b[:len(b)/2], at)
	}
	f.disk.tick()
	return f.file.WriteAt(b, at)
}

func (f deadlyFile) Truncate(size int64) error { f.disk.tick(); return f.file.Truncate(size) }
func (f deadlyFile) Sync() error               { f.disk.tick(); return f.file.Sync() }

// TestMain is the process to be killed, if it is told which operation to die at.
func TestMain(m *testing.M) {
	if at := os.Getenv("DEDUP_TEST_DIE_AT"); at != "" {
		askUntilKilled(os.Getenv("DEDUP_TEST_DIR"), at)
	}
	os.Exit(m.Run())
}

func askUntilKilled(path, at string) {
	var left atomic.Int64
	n, _ := strconv.Atoi(at)
	left.Store(int64(n))
	config := Config{Window: time.Hour, Table: 64, Now: time.Now}
	x, err := open(deadly{directory{path}, &left}, config)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	for q := 0; ; q++ {
		var ids []string
		for i := range 20 {
			ids = append(ids, fmt.Sprintf("%d-%d-%d", os.Getpid(), q, i))
		}
		answers, err := x.Seen(context.Background(), Durable, bytesOf(ids), nil)
		if err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		for i, a := range answers {
			fmt.Println(ids[i], a.Duplicate, a.At.UnixMilli())
		}
	}
}

// Processes that are killed at one operation of a real disk after the other leave what
// they have told to the next one.
func TestKilledProcesses(t *testing.T) {
	path := t.TempDir()
	told := map[string]int64{}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "DEDUP_TEST_DIE_AT="+strconv.Itoa(1+n+r.IntN(60)), "DEDUP_TEST_DIR="+path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for scan := bufio.NewScanner(out); scan.Scan(); {
			fields := strings.Fields(scan.Text())
			if len(fields) != 3 || fields[1] != "false" {
				t.Fatalf("process %d: %s", n, scan.Text())
			}
			told[fields[0]], _ = strconv.ParseInt(fields[2], 10, 64)
		}
		if err := cmd.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
			t.Fatalf("process %d was not killed: %v", n, err)
		}
	}
	x, err := open(directory{path}, Config{Window: time.Hour, Table: 64, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for id, at := range told {
		answers, err := x.Seen(context.Background(), Durable, bytesOf([]string{id}), nil)
		if err != nil || !answers[0].Duplicate || answers[0].At.UnixMilli() != at {
			t.Fatalf("%s: %+v, %v; it was told at %d", id, answers, err, at)
		}
	}
	t.Logf("%d ids were told to be first", len(told))
	if len(told) < 200 {
		t.Error("that is too few")
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}
