//go:build crashtest

package main

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/oncepay/oncepay/engine"
)

// phaseHook keeps the phase of the batch in the file that CRASHTEST_PHASE
// names. The file is mapped, so that what is in it when the program is killed is
// where the program was.
func phaseHook() (func(engine.Phase), error) {
	f, err := os.OpenFile(os.Getenv("CRASHTEST_PHASE"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(4); err != nil {
		return nil, err
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	word := (*uint32)(unsafe.Pointer(&page[0]))
	return func(p engine.Phase) { atomic.StoreUint32(word, uint32(p)) }, nil
}
