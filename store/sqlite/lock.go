package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ErrOwned means that another process owns the store. The error that carries it
// says which one.
var ErrOwned = errors.New("sqlite: the store is owned by another process")

// own takes the owner's lock. It belongs to the open file: it ends with the
// process, however that ends. The file itself stays; who holds it is written
// into it for people to read.
func own(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("sqlite: lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("%w: process %s holds %s", ErrOwned, strings.TrimSpace(string(holder)), path)
	}
	if err := errors.Join(f.Truncate(0), writePid(f)); err != nil {
		f.Close()
		return nil, fmt.Errorf("sqlite: lock: %w", err)
	}
	return f, nil
}

func writePid(f *os.File) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
