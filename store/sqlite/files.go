package sqlite

import (
	"errors"
	"os"
	"path/filepath"
)

// makeDirectory makes the directory for this user only, and makes it last: a
// new name is durable when its directory is synced.
func makeDirectory(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(dir))
}

// makeFile makes the database file if there is none, readable by this user
// only: SQLite gives the files beside it the same mode. An existing file is not
// opened: closing it would drop locks that SQLite has on it.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
