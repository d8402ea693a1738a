package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/store/sqlite"
)

// At no moment can another user open the socket, however loose the umask is.
func TestOwnerSocketIsNeverOpenToOthers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	store := filepath.Join(t.TempDir(), "x.db")
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if at, err := os.Lstat(socketPath(store)); err == nil && at.Mode().Perm() != 0o600 {
				t.Errorf("the socket has the mode %v", at.Mode())
				return
			}
		}
	})
	for range 300 {
		l, err := listenOwner(store)
		if err != nil {
			t.Fatal(err)
		}
		// It is left behind, as by a process that was killed.
		l.UnixListener.Close()
	}
	close(stop)
	watch.Wait()
}

// The socket is in its place and nothing else is left beside it, and when it is
// closed it is gone.
func TestOwnerSocketComesAndGoes(t *testing.T) {
	store := filepath.Join(t.TempDir(), "x.db")
	l, err := listenOwner(store)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", socketPath(store))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	files := func() (names []string) {
		found, err := os.ReadDir(filepath.Dir(store))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, f.Name())
		}
		return names
	}
	if got := files(); len(got) != 1 || got[0] != "x.db.sock" {
		t.Errorf("beside the store there are %v", got)
	}
	for range 2 {
		l.Close()
	}
	if got := files(); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
}

// The owner checks a key itself: what asks may be another version, or no command
// of ours at all.
func TestOwnerRefusesWhatIsNoKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l, err := listenOwner(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: ownerHandler(store, nil), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go s.Serve(l)
	defer s.Close()
	for name, row := range map[string]struct {
		spoil func(*access.Key)
		want  string // in the error; "": it is made
	}{
		"a key":                     {func(*access.Key) {}, ""},
		"a tenant that is no name":  {func(k *access.Key) { k.Tenant = "a b" }, "tenant"},
		"no tenant":                 {func(k *access.Key) { k.Tenant = "" }, "tenant"},
		"a role that there is not":  {func(k *access.Key) { k.Role = "admin" }, "role"},
		"no hash":                   {func(k *access.Key) { k.Hash = access.Hash{} }, "hash"},
		"an id of another resource": {func(k *access.Key) { k.ID = "../tr_1" }, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			k, _, err := newAPIKey("shop", "full")
			if err != nil {
				t.Fatal(err)
			}
			row.spoil(&k)
			err = newOwner(path).CreateAPIKey(t.Context(), k)
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want an error about %q", err, row.want)
			}
		})
	}
	if all, err := store.APIKeys(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d keys were made: %v", len(all), err)
	}
}

// Who owns the store and does not answer is told of as what it is: it is not there,
// or it is slow, or it is gone now. Only the first is about the socket.
func TestAnOwnerThatDoesNotAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		handler http.HandlerFunc // nil: nobody is there
		want    string
	}{
		"nobody is there":    {nil, "another process owns the store, and does not answer on STORE.sock: connect: no such file or directory"},
		"it takes too long":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "the process that owns the store has not answered in 100ms; what it was asked for may be done all the same"},
		"it breaks off":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the process that owns the store broke off: EOF; what it was asked for may be done all the same"},
		"it breaks off late": {half, "the process that owns the store broke off: unexpected EOF; what it was asked for may be done all the same"},
	} {
		t.Run(name, func(t *testing.T) {
			store := filepath.Join(t.TempDir(), "x.db")
			if row.handler != nil {
				answerOn(t, store, row.handler)
			}
			o := newOwner(store)
			if strings.Contains(name, "too long") {
				o.client.Timeout = 100 * time.Millisecond
			}
			err := o.ResolvePayment(t.Context(), "pay_1", decision{})
			if err == nil || strings.ReplaceAll(err.Error(), store, "STORE") != row.want {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "2")
	w.Write([]byte("{"))
}

// answerOn has somebody answer on the socket of a store until the test ends.
func answerOn(t *testing.T, store string, h http.HandlerFunc) {
	l, err := listenOwner(store)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

// A gateway may take longer than the owner does for all else.
func TestACheckIsWaitedForLonger(t *testing.T) {
	store := filepath.Join(t.TempDir(), "x.db")
	o := newOwner(store)
	o.client.Timeout = 100 * time.Millisecond
	answerOn(t, store, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(3 * o.client.Timeout)
		w.Write([]byte("{}"))
	})
	if err := o.CheckPayment(t.Context(), "pay_1"); err != nil {
		t.Error(err)
	}
	if err := o.ResolvePayment(t.Context(), "pay_1", decision{}); err == nil {
		t.Error("it was waited for, so that the test does not tell one from the other")
	}
}
