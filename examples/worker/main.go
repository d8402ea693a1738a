// Worker takes jobs from a queue that delivers at least once, and does each once.
//
//	go run ./examples/worker -dir jobs -add '{"id":"job-1","customer":"alice","points":10}'
//	go run ./examples/worker -dir jobs
//
// The queue is a directory: a job is a file, and is gone when it is acknowledged. A worker
// that is killed leaves the file, and the next one takes it again, as every queue does. A
// job is three steps: write a mail, send it, and book points. The first two leave the
// house, so they have recovery points: whoever goes on does not do again what was
// finished. (A mail that was sent by a worker which died before it wrote that down is sent
// again: mail knows no keys.) The points are one commit with the job's key: they are booked
// once, whatever happens.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

// job is a message.
type job struct {
	ID       string `json:"id"` // made by who sends it, once: it is the key
	Customer string `json:"customer"`
	Points   int64  `json:"points"`
}

func main() {
	dir := flag.String("dir", "jobs", "the queue, and what the worker keeps")
	add := flag.String("add", "", "a job to be put into the queue, as JSON")
	lease := flag.Duration("lease", 30*time.Second, "how long a job may be unheard of before another worker goes on with it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := func() error { return work(ctx, *dir, *lease) }
	if *add != "" {
		do = func() error { return put(*dir, []byte(*add)) }
	}
	if err := do(); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// put puts a job into the queue.
func put(dir string, text []byte) error {
	var j job
	if err := json.Unmarshal(text, &j); err != nil || once.CheckID(j.ID) != nil || strings.ContainsAny(j.ID, `/\`) || j.Customer == "" || j.Points <= 0 {
		return errors.New(`a job is {"id": "job-1", "customer": "alice", "points": 10}`)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, j.ID+".json")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path) // nobody sees half of it
}

// work does what is in the queue, until it is empty.
func work(ctx context.Context, dir string, lease time.Duration) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "worker.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	defer db.Close()
	secret, err := secretIn(dir)
	if err != nil {
		return err
	}
	w, err := newWorker(ctx, db, secret, lease)
	if err != nil {
		return err
	}
	for {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(files) == 0 {
			return err
		}
		for _, f := range files {
			if err := w.take(ctx, f); err != nil {
				return err
			}
		}
	}
}

// secretIn is what keys are made and requests are told by: the same at every start.
func secretIn(dir string) ([]byte, error) {
	path := filepath.Join(dir, "secret")
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		secret = []byte(rand.Text() + rand.Text())
		err = os.WriteFile(path, secret, 0o600)
	}
	return secret, err
}

// worker does jobs.
type worker struct {
	db       *sql.DB
	announce once.Operation[string]   // is told to others
	book     sqlkeys.Operation[int64] // is one commit with its key
}

func newWorker(ctx context.Context, db *sql.DB, secret []byte, lease time.Duration) (*worker, error) {
	keys := sqlkeys.New(db)
	err := keys.Migrate(ctx)
	for _, table := range []string{
		"CREATE TABLE IF NOT EXISTS points (customer TEXT PRIMARY KEY, points INTEGER NOT NULL)",
		"CREATE TABLE IF NOT EXISTS mails (number INTEGER PRIMARY KEY, customer TEXT NOT NULL)",
	} {
		_, failed := db.ExecContext(ctx, table)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return nil, err
	}
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: secret, Lease: lease})
	if err != nil {
		return nil, err
	}
	return &worker{
		db:       db,
		announce: once.Operation[string]{Engine: eng, Name: "announce", Vanished: once.Resume},
		book:     sqlkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "book"}},
	}, nil
}

// take does the job in a file, and acknowledges it: after the work, never before.
func (w *worker) take(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // another worker has done it
	}
	var j job
	if err := errors.Join(err, json.Unmarshal(text, &j)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	number, err := w.announce.Do(ctx, "announce-"+j.ID, j, func(ctx context.Context, a *once.Attempt) (string, error) { return w.tell(ctx, a, j) })
	if errors.Is(err, once.ErrBusy) {
		time.Sleep(100 * time.Millisecond) // another worker is at it, or was until just now: it comes again
		return nil
	}
	if err != nil {
		return err
	}
	total, err := w.book.Do(ctx, "book-"+j.ID, j, func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (total int64, err error) {
		err = tx.QueryRowContext(ctx, `INSERT INTO points VALUES (?, ?)
			ON CONFLICT (customer) DO UPDATE SET points = points + excluded.points RETURNING points`, j.Customer, j.Points).Scan(&total)
		return total, err
	})
	if err != nil {
		return err
	}
	die("booked")
	log.Printf("%s: %s, and %s has %d points", j.ID, number, j.Customer, total)
	err = os.Remove(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// tell mails the customer. A step that was finished is not done again: a worker that dies
// behind it leaves its result.
func (w *worker) tell(ctx context.Context, a *once.Attempt, j job) (string, error) {
	text, err := once.Step(ctx, a, "write", func(context.Context) (string, error) {
		return fmt.Sprintf("%d points for %s", j.Points, j.Customer), nil
	})
	if err != nil {
		return "", err
	}
	die("written")
	return once.Step(ctx, a, "mail", func(ctx context.Context) (string, error) {
		_, err := w.db.ExecContext(ctx, "INSERT INTO mails (customer) VALUES (?)", text)
		return "a mail is sent", err
	})
}

// die ends the process where WORKER_DIES says so.
func die(where string) {
	if os.Getenv("WORKER_DIES") == where {
		os.Exit(1)
	}
}
