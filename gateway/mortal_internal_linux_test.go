package gateway

import (
	"bytes"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// The kernel gives up what nobody takes, with no help of this process: it may be
// stopped.
func TestKernelGivesUpWhatNobodyTakes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // nothing is read, nor even accepted
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := testLine(t, l.Addr().String()).get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.drop()
	w.tcp.forget(300 * time.Millisecond)
	w.SetDeadline(time.Now().Add(10 * time.Second))
	for err == nil {
		_, err = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	}
	if !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("it was held until: %v", err)
	}
}

// Each call sets how long: a connection may be used by one with more time.
func TestCallSaysWhenTheKernelGivesUp(t *testing.T) {
	t.Parallel()
	addr, _ := server(t)
	c, err := New(Config{Name: "acme", URL: "http://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.sends.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.drop()
	for _, d := range []time.Duration{20 * time.Millisecond, 30 * time.Millisecond} {
		w.SetDeadline(time.Now().Add(d))
		c.exchange(t.Context(), w, "POST", Request{Path: "/", Timeout: d}, &c.wire.sends)
		raw, err := w.tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if got, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout); err != nil || got != int(d.Milliseconds()) {
				t.Errorf("after a call with %v it is %d ms: %v", d, got, err)
			}
		})
	}
}
