package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
	"github.com/oncepay/oncepay/store/sqlite"
	"github.com/oncepay/oncepay/web"
)

// place is where a store is.
type place interface {
	// open makes this process one that writes to the store, and fails with an
	// errOwned if that is another's. If there is none, one is made, or it fails unless
	// anew.
	open(ctx context.Context, anew bool, log *slog.Logger) (store, error)

	// view opens the store to be read beside who writes to it.
	view(ctx context.Context) (view, error)

	// snapshot opens the store to be read from end to end, as of now.
	snapshot(ctx context.Context) (snapshot, error)

	// migrate makes a store, or brings an older one to this version.
	migrate(ctx context.Context, log *slog.Logger) error

	// owned is the path beside which the process that owns the store listens for other
	// commands; "" where several may write to it.
	owned() string

	// books is where a sandbox inside of this process has its own.
	books() string
}

// errOwned means that another process owns the store.
var errOwned = sqlite.ErrOwned

// store is one that holds money, open to be written.
type store interface {
	engine.Store
	engine.Upkeep
	processor.Store
	web.Store
	engine.Lineage
	keyring
	lossBook
	finder
	outbox.Store
	outbox.Books
	web.WebhookStore

	Secret() []byte   // what keys of fingerprints are derived from
	Since() time.Time // of its last commit
	CountDoubts(ctx context.Context, most int) (engine.Doubts, error)
	Close() error
}

// finder finds payments, whosever they are.
type finder interface {
	FindPayment(ctx context.Context, id string) (*pay.Payment, error)
}

// view is a store that is only read.
type view interface {
	finder
	Tenants(ctx context.Context) ([]string, error)
	Payments(ctx context.Context, tenant string, f engine.PaymentFilter, p engine.Page) (engine.List[*pay.Payment], error)
	Lines(ctx context.Context, ref pay.Ref) ([]pay.Line, error)
	Sinks(ctx context.Context) ([]outbox.State, error)
	PlaceOf(ctx context.Context, id string) (outbox.Position, bool, error)
	PlaceAt(ctx context.Context, t time.Time) (outbox.Position, error)
	Close() error
}

// snapshot is a store at one moment.
type snapshot interface {
	audit.Source
	io.Closer
}

// placeOf is the place that a store's URL names.
func placeOf(url string) place {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return embedded(path)
	}
	return database(url)
}

// embedded is a file, by its path: one process owns it.
type embedded string

// open is place's. An error that leaves a commit in doubt ends the process: nothing that
// it would say later could be trusted.
func (f embedded) open(ctx context.Context, anew bool, log *slog.Logger) (store, error) {
	if !exists(string(f)) {
		if !anew {
			return nil, noStore(string(f))
		}
		log.Info("there was no store: a new one is made", "path", string(f))
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: string(f), Log: log, Fatal: func(err error) {
		log.Error("the disk failed, and nobody can say what is on it: stopping; start again when it is mended", "err", err)
		os.Exit(exitBad)
	}})
	if err != nil {
		return nil, err // and no store that is a nil of a type
	}
	return s, nil
}

func (f embedded) view(ctx context.Context) (view, error) {
	v, err := sqlite.OpenView(ctx, string(f))
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (f embedded) snapshot(ctx context.Context) (snapshot, error) {
	r, err := sqlite.OpenReader(ctx, string(f))
	if err != nil {
		return nil, err
	}
	return r, nil
}

// migrate is place's: whoever opens the file does that.
func (f embedded) migrate(ctx context.Context, log *slog.Logger) error {
	s, err := f.open(ctx, true, log)
	if err != nil {
		return err
	}
	return s.Close()
}

func (f embedded) owned() string { return string(f) }
func (f embedded) books() string { return filepath.Join(filepath.Dir(string(f)), "sandbox.db") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func noStore(path string) error {
	return fmt.Errorf("there is no store at %s; name the right one with --store", path)
}

// openKeyring opens what keeps the API keys: the store, or the server that owns it. If
// there is no store it makes one, or fails unless anew. Close it after use.
func openKeyring(ctx context.Context, at place, anew bool, log *slog.Logger) (keyring, func() error, error) {
	s, err := at.open(ctx, anew, log)
	switch {
	case errors.Is(err, errOwned):
		return newOwner(at.owned()), func() error { return nil }, nil
	case err != nil:
		return nil, nil, err
	}
	return s, s.Close, nil
}
