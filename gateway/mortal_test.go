package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway"
)

// senderTo is the environment variable that makes this test binary a process
// which makes one large send, and nothing else.
const senderTo = "ONCEPAY_TEST_SEND_TO"

func TestMain(m *testing.M) {
	if url := os.Getenv(senderTo); url != "" {
		sendMuch(url)
		os.Exit(99) // whatever came of it: this process runs no tests
	}
	os.Exit(m.Run())
}

// sendMuch sends more than all buffers hold. It gives up after a while, so that
// nothing is left of a test that was killed.
func sendMuch(url string) {
	c, err := gateway.New(gateway.Config{Name: "acme", URL: url})
	if err != nil {
		os.Exit(98)
	}
	r := request("att_1")
	r.Body, r.Timeout = bytes.Repeat([]byte("x"), bulk), 20*time.Second
	c.Send(context.Background(), r, read)
}

const bulk = 16 << 20

// What the kernel still held of a send does not go out after its process was
// killed: whoever finds that process gone takes its sends for over.
func TestKilledProcessSendsNothingMore(t *testing.T) {
	t.Parallel()
	began, halt, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var later int64 // bytes that were read after the process was gone
	addr := listenRaw(t, func(c net.Conn) {
		c.(*net.TCPConn).SetReadBuffer(1)
		c.Read(make([]byte, 1))
		close(began)
		<-halt
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		var err error
		later, err = io.Copy(io.Discard, c)
		ended <- err
	})
	sender := startSender(t, "http://"+addr)
	select {
	case <-began:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came of the send")
	}
	time.Sleep(100 * time.Millisecond) // its kernel holds all that it takes by then; with less, less is proven
	if err := sender.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	sender.Wait()
	close(halt)
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ended as if all was well: %v", err)
	}
	if later > most {
		t.Errorf("%d bytes came after the process was killed", later)
	}
}

// most is what this side's kernel can have held already.
const most = 64 << 10

func startSender(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), senderTo+"="+url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}
