package dedup

import (
	"syscall"
	"unsafe"
)

// hugePage is what memory is best aligned to.
const hugePage = 2 << 20

// madvHugepage is MADV_HUGEPAGE, which package syscall lacks.
const madvHugepage = 14

// huge asks for large pages under memory that was not touched yet. Where hashes are looked
// for, each in another place, finding the page takes longer than reading it otherwise.
// Nothing depends on it.
func huge[T byte | uint64](s []T) []T {
	size := uintptr(len(s)) * unsafe.Sizeof(s[0])
	if size < 2*hugePage {
		return s
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), size)
	begin := -uintptr(unsafe.Pointer(&s[0])) % hugePage
	end := begin + (size-begin)/hugePage*hugePage
	syscall.Madvise(bytes[begin:end], madvHugepage)
	return s
}
