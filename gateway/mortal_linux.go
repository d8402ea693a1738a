package gateway

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h (RFC 5482), which package
// syscall has no name for.
const tcpUserTimeout = 18

// userTimeout bounds how long what was written may stay unacknowledged, or
// unsent because the other side takes nothing, before the connection is dropped.
func userTimeout(fd int, d time.Duration) {
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, int(max(d.Milliseconds(), 1)))
}
