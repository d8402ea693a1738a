package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/oncepay/oncepay/store/sqlite"
)

// storePath is the file that a store's URL names.
func storePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	switch {
	case !ok:
		return "", usagef("store: %q is no URL of a store: this version has sqlite:PATH", url)
	case path == "":
		return "", usagef("store: %q names no file: write sqlite:PATH", url)
	}
	return path, nil
}

// openStore makes this process the store's owner. An error that leaves a commit
// in doubt ends the process: nothing that it would say later could be trusted.
func openStore(ctx context.Context, path string, log *slog.Logger) (*sqlite.Store, error) {
	return sqlite.Open(ctx, sqlite.Config{Path: path, Log: log, Fatal: func(err error) {
		log.Error("the disk failed, and nobody can say what is on it: stopping; start again when it is mended", "err", err)
		os.Exit(exitBad)
	}})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

func noStore(path string) error {
	return fmt.Errorf("there is no store at %s; name the right one with --store", path)
}

// openKeyring opens what keeps the API keys: the store, or the server that owns
// it. If there is no store it makes one, or fails unless anew. Close it after
// use.
func openKeyring(ctx context.Context, path string, anew bool, log *slog.Logger) (keyring, func() error, error) {
	if !exists(path) {
		if !anew {
			return nil, nil, noStore(path)
		}
		log.Info("there was no store: a new one is made", "path", path)
	}
	store, err := openStore(ctx, path, log)
	switch {
	case errors.Is(err, sqlite.ErrOwned):
		return newOwner(path), func() error { return nil }, nil
	case err != nil:
		return nil, nil, err
	}
	return store, store.Close, nil
}
