package main

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestMain is the worker itself where a test has asked for it.
func TestMain(m *testing.M) {
	if os.Getenv("WORKER_ARGS") == "" {
		os.Exit(m.Run())
	}
	os.Args = append(os.Args[:1], strings.Split(os.Getenv("WORKER_ARGS"), "\n")...)
	main()
}

// run runs a worker as a process of its own, and says whether it ended well.
func run(t *testing.T, dies string, args ...string) (well bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WORKER_DIES="+dies, "WORKER_ARGS="+strings.Join(args, "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil && dies == "" {
		t.Errorf("%v ends with %v: %s", args, err, out)
	}
	return err == nil
}

// Jobs are done once each: by workers that die at each step, by three at once, and when
// they are delivered again.
func TestJobsAreDoneOnce(t *testing.T) {
	dir := t.TempDir()
	const jobs = 5
	add := func() {
		for i := range jobs {
			run(t, "", "-dir", dir, "-add", fmt.Sprintf(`{"id":"job-%d","customer":"alice","points":10}`, i))
		}
	}
	add()
	for _, where := range []string{"written", "booked"} {
		if run(t, where, "-dir", dir, "-lease", "1s") {
			t.Errorf("it should have died where it has %s", where)
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { run(t, "", "-dir", dir, "-lease", "1s") })
	}
	wg.Wait()
	add() // the queue delivers them again
	run(t, "", "-dir", dir)

	left, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "worker.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var points, mails int
	err = db.QueryRow("SELECT (SELECT points FROM points), (SELECT count(*) FROM mails)").Scan(&points, &mails)
	if err != nil || points != 10*jobs || mails != jobs || len(left) > 0 {
		t.Errorf("there are %d points and %d mails, %v; left are %v", points, mails, err, left)
	}
	if run(t, "x", "-dir", dir, "-add", `{"id":"../x","customer":"alice","points":1}`) {
		t.Error("a job that leaves the queue is taken")
	}
}
