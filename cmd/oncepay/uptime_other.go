//go:build !linux

package main

import "time"

// uptime is a clock that nobody sets; it may stop while the machine is
// suspended.
func uptime() time.Duration { return time.Since(started) }

var started = time.Now()
