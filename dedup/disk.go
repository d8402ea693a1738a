package dedup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// disk is one directory. What was created, renamed or removed there is durable once sync
// has returned, and what a file has once its own Sync has. Tests have one that loses
// everything else.
type disk interface {
	create(name string) (file, error) // empty, also if there was one
	open(name string) (file, error)
	rename(from, to string) error
	remove(name string) error
	list() ([]string, error)
	sync() error
	lock(name string) (io.Closer, error)
}

// file is open for reading and writing, and stays readable when its name is removed.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
	size() (int64, error)
}

// directory is a disk of the operating system.
type directory struct{ path string }

func openDirectory(path string) (directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return directory{}, err
	}
	return directory{path}, directory{filepath.Dir(path)}.sync()
}

func (d directory) create(name string) (file, error) {
	return d.openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (d directory) open(name string) (file, error) { return d.openFile(name, os.O_RDWR) }

func (d directory) openFile(name string, flags int) (file, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d directory) rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d directory) remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

func (d directory) list() (names []string, err error) {
	entries, err := os.ReadDir(d.path)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func (d directory) sync() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d directory) lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrOwned, d.path)
		}
		return nil, err
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
