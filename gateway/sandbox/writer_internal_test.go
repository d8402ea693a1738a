package sandbox

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The tests wait more than they compute, so more of them run at once than there
// are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

func openServer(t *testing.T) *Server {
	t.Helper()
	s, err := Open(Config{Books: filepath.Join(t.TempDir(), "sandbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hold keeps the writer at work, so that what comes forms one batch, until the
// function that it returns is called.
func hold(t *testing.T, w *writer) (release func()) {
	t.Helper()
	began, end, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		done <- w.do(context.Background(), func(*tx) error {
			close(began)
			<-end
			return nil
		})
	}()
	<-began
	return func() {
		close(end)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Answered is synced: NORMAL would lose the last commits in a power cut.
func TestEveryCommitIsSynced(t *testing.T) {
	w := openServer(t).books.writer
	var level int
	err := w.do(context.Background(), func(t *tx) error { return t.row("PRAGMA synchronous", nil, &level) })
	if err != nil || level != 2 {
		t.Errorf("synchronous is %d (%v), want 2, which is FULL", level, err)
	}
}

// One entry of a batch that fails takes nothing with it but what it wrote.
func TestAnEntryThatFailsFailsAlone(t *testing.T) {
	s := openServer(t)
	release := hold(t, s.books.writer)
	errOwn := errors.New("its own error")
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			err := s.books.writer.do(context.Background(), func(t *tx) error {
				if _, err := t.countSend(fmt.Sprintf("att_%d", n)); err != nil || n%2 == 0 {
					return errors.Join(err, errOwn)
				}
				return nil
			})
			if errors.Is(err, errOwn) != (n%2 == 0) {
				t.Errorf("entry %d: got %v", n, err)
			}
		})
	}
	for len(s.books.writer.queue) < 20 {
		time.Sleep(time.Millisecond)
	}
	release()
	wg.Wait()
	for n := range 20 {
		if got, want := s.Sends(fmt.Sprintf("att_%d", n)), n%2; got != want {
			t.Errorf("entry %d: %d sends are in the books, want %d", n, got, want)
		}
	}
}

// A full queue is refused, after some patience, and nothing began.
func TestTheQueueIsBounded(t *testing.T) {
	s := openServer(t)
	w := s.books.writer
	w.patience = 20 * time.Millisecond
	release := hold(t, w)
	for range maxQueue {
		w.queue <- entry{func(*tx) error { return nil }, make(chan error, 1)}
	}
	res := httptest.NewRecorder()
	s.ServeHTTP(res, httptest.NewRequest("GET", "/v1/operations/att_1", nil))
	if res.Code != http.StatusTooManyRequests || res.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s", res.Code, res.Body)
	}
	release()
	if got := s.Checks("att_1"); got != 0 {
		t.Errorf("what was refused was counted %d times", got)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := openServer(t)
	s.requests.Store(maxRequests)
	res := httptest.NewRecorder()
	s.ServeHTTP(res, httptest.NewRequest("GET", "/v1/contract", nil))
	if res.Code != http.StatusTooManyRequests {
		t.Errorf("got %d", res.Code)
	}
	s.requests.Store(0)
	res = httptest.NewRecorder()
	s.ServeHTTP(res, httptest.NewRequest("GET", "/v1/contract", nil))
	if res.Code != http.StatusOK {
		t.Errorf("got %d", res.Code)
	}
}

// When a COMMIT fails nobody knows what the disk has, until the file is opened
// again. So nothing is written any more.
func TestAFailedCommitStopsTheBooks(t *testing.T) {
	w := openServer(t).books.writer
	err := w.do(context.Background(), func(t *tx) error { return t.exec("COMMIT") }) // its own COMMIT then fails
	if !errors.Is(err, errStopped) {
		t.Fatalf("got %v", err)
	}
	if err := w.do(context.Background(), func(*tx) error { return nil }); err == nil {
		t.Error("it wrote on")
	}
}
