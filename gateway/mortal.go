package gateway

import (
	"syscall"
	"time"
)

// mortal has a connection die with the process. The kernel closes what a process
// leaves behind (kill -9, a panic, no memory left) as if it had ended well, and
// goes on delivering what it holds of a request for a quarter of an hour: a send
// could arrive long after its sender was found to be gone. With SO_LINGER at 0 it
// forgets that and sends a reset (RFC 9293, 3.10.4: ABORT).
//
// It is set before the connection is made, so that there is no moment without it.
func mortal(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
	if err != nil {
		return err
	}
	return failed
}

// forget has the kernel give up what the other side has not taken for so long, as
// far as it can: also if this process is stopped, and so cannot give it up.
func (m *meter) forget(after time.Duration) {
	if m.patience == after {
		return
	}
	m.patience = after
	raw, err := m.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { userTimeout(int(fd), after) }) // where that fails there is no connection any more
	}
}
