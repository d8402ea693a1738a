package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime goes on while the machine is suspended, and nobody sets it.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("CLOCK_BOOTTIME has been in Linux since 2.6.39: " + err.Error())
	}
	return time.Duration(t.Nano())
}
