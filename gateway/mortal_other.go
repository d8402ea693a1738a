//go:build !linux

package gateway

import "time"

// userTimeout cannot be set here: a process that is stopped, and not dead, leaves
// the kernel to deliver what it holds.
func userTimeout(int, time.Duration) {}
