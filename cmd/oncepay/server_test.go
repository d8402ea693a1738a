package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// A client that never ends its request takes all of the drain, and nothing else:
// what was to be done was done, so the exit status is 0.
func TestAClientThatStallsDoesNotSpoilTheDrain(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var stderr bytes.Buffer
	status, url := serveInside(t, ctx, &stderr, "--drain=50ms")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/transfers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_dev\r\nIdempotency-Key: k\r\n"+
		"Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("the server said %q, %v", line, err)
	} // it waits for the body now
	stop()
	if got := <-status; got != exitGood {
		t.Errorf("exit %d\n%s", got, &stderr)
	}
	if !strings.Contains(stderr.String(), "still waiting") {
		t.Errorf("the request did not stall: the test does not test what it is for\n%s", &stderr)
	}
}

// serveInside runs `oncepay serve --dev` on a new store in this process until
// ctx ends, and returns where it answers and where its exit status will come.
func serveInside(t *testing.T, ctx context.Context, stderr io.Writer, more ...string) (status chan int, url string) {
	t.Helper()
	args := append([]string{"serve", "--dev", "--addr=127.0.0.1:0", "--store=sqlite:" + filepath.Join(t.TempDir(), "once.db")}, more...)
	status = make(chan int, 1)
	stdout, written := io.Pipe()
	go func() {
		status <- run(ctx, args, nil, strings.NewReader(""), written, stderr)
		written.Close()
	}()
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, found := strings.Cut(ready, "http://")
	if err != nil || !found {
		t.Fatalf("the server did not get ready: %q, %v", ready, err)
	}
	return status, "http://" + strings.Fields(rest)[0]
}
