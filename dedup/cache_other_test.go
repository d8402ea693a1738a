//go:build !linux

package dedup

import "os"

// dropCache has the system's memory lose what it has of a file, where that can be done.
func dropCache(*os.File) {}
