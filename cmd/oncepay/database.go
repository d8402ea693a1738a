package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/oncepay/oncepay/store/postgres"
)

// database is a store on PostgreSQL, by its URL. Any number of processes share it.
type database string

// open is place's. A store is made only where there is none: one of an earlier version
// is in use by others, and when it goes on is an operator's decision. A store that leaves the
// past which this process knows ends it.
func (d database) open(ctx context.Context, anew bool, log *slog.Logger) (store, error) {
	cfg := postgres.Config{URL: string(d), Log: log, Fatal: func(err error) {
		log.Error("stopping: what this process was told is of a past that the store has left; start it again", "err", err)
		os.Exit(exitBad)
	}}
	s, err := postgres.Open(ctx, cfg)
	if errors.Is(err, postgres.ErrForeign) && anew {
		log.Info("there was no store in the database: a new one is made")
		if err = d.migrate(ctx, log); err == nil {
			s, err = postgres.Open(ctx, cfg)
		}
	}
	if err != nil {
		return nil, err // and no store that is a nil of a type
	}
	return s, nil
}

func (d database) view(ctx context.Context) (view, error) {
	v, err := postgres.OpenView(ctx, string(d))
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (d database) snapshot(ctx context.Context) (snapshot, error) {
	r, err := postgres.OpenReader(ctx, string(d))
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d database) migrate(ctx context.Context, _ *slog.Logger) error {
	return postgres.Migrate(ctx, string(d))
}

// owned is place's: nobody owns it.
func (d database) owned() string { return "" }

// books is place's: with --dev, where the embedded store has them.
func (d database) books() string { return filepath.Join("oncepay-data", "sandbox.db") }
