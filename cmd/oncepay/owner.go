package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/outbox"
)

// One process owns an embedded store. Other commands that write ask it to, over
// a socket beside the file that only the owner's user can open.

// keyring keeps API keys. The store is one, and so is the socket of the server
// that owns it.
type keyring interface {
	CreateAPIKey(ctx context.Context, k access.Key) error
	APIKeys(ctx context.Context) ([]access.Key, error)
	RevokeAPIKey(ctx context.Context, id string) (found bool, err error)
}

// ownersBooks are what others are told of, or write, through the owner.
type ownersBooks interface {
	keyring
	lossBook
	sinkBooks
}

func socketPath(store string) string { return store + ".sock" }

// ownerSocket is the owner's socket, and where it is.
type ownerSocket struct {
	*net.UnixListener
	path string
}

// Close also removes the socket: nobody is there any more.
func (s *ownerSocket) Close() error {
	err := os.Remove(s.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // http.Server closes more than once
	}
	return errors.Join(err, s.UnixListener.Close())
}

// listenOwner opens the owner's socket. The store's lock is held, so a socket
// that is there was left behind by a process that is gone.
//
// A socket is made with the rights that the umask leaves, and whoever opens it
// before those are taken away can make API keys. So it is made in a directory
// that is closed to others, and moved to its place when it is closed itself.
func listenOwner(store string) (*ownerSocket, error) {
	path := socketPath(store)
	private, err := os.MkdirTemp(filepath.Dir(path), ".s*") // 0700, whatever the umask
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s") // short: see the error below
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the socket for other commands: %w (a path of at most about 100 characters works; the store is at %s)",
			err, filepath.Dir(path))
	}
	l.SetUnlinkOnClose(false) // it would look where the socket was made
	if err = os.Chmod(made, 0o600); err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &ownerSocket{l, path}, nil
}

// serveOwner answers other commands until ctx ends.
func serveOwner(ctx context.Context, l net.Listener, keys ownersBooks, t teller, log *slog.Logger) {
	s := &http.Server{
		Handler: ownerHandler(keys, t), ReadHeaderTimeout: ownerTimeout, ReadTimeout: patientTimeout, WriteTimeout: patientTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), // a handler that panicked: only our own commands come here
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("the socket for other commands is closed", "err", err)
	}
}

const (
	// ownerTimeout is for what the owner does by itself: some commits.
	ownerTimeout = 10 * time.Second

	// patientTimeout is for what it has a gateway asked for. It ends after that does,
	// so that who asks is told what became of it, and not that nobody answers.
	patientTimeout = checkTime + ownerTimeout
)

func ownerHandler(keys ownersBooks, t teller) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apikeys", func(w http.ResponseWriter, r *http.Request) {
		var k access.Key
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&k)
		if err = errors.Join(err, checkAPIKey(k)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		tell(w, struct{}{}, keys.CreateAPIKey(r.Context(), k))
	})
	mux.HandleFunc("GET /apikeys", func(w http.ResponseWriter, r *http.Request) {
		all, err := keys.APIKeys(r.Context())
		tell(w, all, err)
	})
	mux.HandleFunc("DELETE /apikeys/{id}", func(w http.ResponseWriter, r *http.Request) {
		found, err := keys.RevokeAPIKey(r.Context(), r.PathValue("id"))
		tell(w, found, err)
	})
	mux.HandleFunc("GET /losses", func(w http.ResponseWriter, r *http.Request) {
		losses, err := keys.Losses(r.Context())
		tell(w, losses, err)
	})
	mux.HandleFunc("POST /losses/end", func(w http.ResponseWriter, r *http.Request) {
		var said word
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&said)
		if err = errors.Join(err, checkSaid("evidence", said.Evidence)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ended, err := keys.EndLosses(r.Context(), said.Evidence, said.Actor)
		tell(w, ended, err)
	})
	mux.HandleFunc("POST /sinks/{sink}/move", func(w http.ResponseWriter, r *http.Request) {
		var to outbox.Position
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&to); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		tell(w, struct{}{}, keys.MoveSink(r.Context(), r.PathValue("sink"), to))
	})
	mux.HandleFunc("POST /payments/{id}/check", func(w http.ResponseWriter, r *http.Request) {
		tell(w, struct{}{}, t.CheckPayment(r.Context(), r.PathValue("id")))
	})
	mux.HandleFunc("POST /payments/{id}/resolve", func(w http.ResponseWriter, r *http.Request) {
		var d decision
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&d); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		tell(w, struct{}{}, t.ResolvePayment(r.Context(), r.PathValue("id"), d))
	})
	return mux
}

// checkAPIKey says what is wrong with a key that another command made: it may be
// of another version, or no command of ours at all.
func checkAPIKey(k access.Key) error {
	_, err := access.ParseRole(string(k.Role))
	err = errors.Join(err, access.CheckTenant(k.Tenant))
	if !apiKeyID.MatchString(k.ID) {
		err = errors.Join(err, fmt.Errorf("%q is no id of an API key", k.ID))
	}
	if k.Hash.Equal(access.Hash{}) {
		err = errors.Join(err, errors.New("an API key has no hash"))
	}
	return err
}

// tell answers another command of the same user: errors are told as they are.
func tell(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// A caller that is gone is told nothing; what it asked for is done.
	_ = json.NewEncoder(w).Encode(v)
}

// owner is the server that owns a store, as other commands see it.
type owner struct {
	path   string
	client *http.Client // its Timeout is that of what is asked for
}

func newOwner(store string) *owner {
	path := socketPath(store)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &owner{path, &http.Client{Timeout: ownerTimeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// patient is the owner for what may take longer.
func (o *owner) patient() *owner {
	client := *o.client
	client.Timeout = patientTimeout
	return &owner{o.path, &client}
}

func (o *owner) CreateAPIKey(ctx context.Context, k access.Key) error {
	return o.ask(ctx, http.MethodPost, "/apikeys", k, nil)
}

func (o *owner) APIKeys(ctx context.Context) (all []access.Key, err error) {
	return all, o.ask(ctx, http.MethodGet, "/apikeys", nil, &all)
}

func (o *owner) RevokeAPIKey(ctx context.Context, id string) (found bool, err error) {
	return found, o.ask(ctx, http.MethodDelete, "/apikeys/"+id, nil, &found)
}

func (o *owner) ask(ctx context.Context, method, path string, body, into any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://owner"+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.GetBody = nil // sent once: a key that was made twice would be two keys
	resp, err := o.client.Do(req)
	if err != nil {
		return o.silence(err)
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return o.silence(err)
	case resp.StatusCode != http.StatusOK:
		return errors.New(string(bytes.TrimSpace(told)))
	case into == nil:
		return nil
	}
	return json.Unmarshal(told, into)
}

// silence says what it means that the owner did not answer. Where its socket is
// helps only if nobody is there; whoever took what was asked may do it all the same.
func (o *owner) silence(err error) error {
	var at *net.OpError
	var slow net.Error
	var asked *url.Error
	switch {
	case errors.As(err, &at) && at.Op == "dial":
		return fmt.Errorf("another process owns the store, and does not answer on %s: %w", o.path, at.Err)
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("the process that owns the store has not answered in %s; what it was asked for may be done all the same", o.client.Timeout)
	case at != nil:
		err = at.Err
	case errors.As(err, &asked):
		err = asked.Err
	}
	return fmt.Errorf("the process that owns the store broke off: %w; what it was asked for may be done all the same", err)
}
