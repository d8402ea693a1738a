package dedup

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache has the system's memory lose what it has of a file, so that it is read from
// the disk.
func dropCache(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
