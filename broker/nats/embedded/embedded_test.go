package embedded_test

import (
	"net"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/broker/nats/embedded"
)

// It listens on loopback and nowhere else.
func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":4222", "192.0.2.1:4222", "localhost:4222", "[::]:0"} {
		if s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Addr: addr}); err == nil {
			s.Close()
			t.Errorf("it listens on %s", addr)
		}
	}
}

// An address that somebody has is an error, and does not end the process.
func TestAnAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Addr: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

// What is acknowledged is synced.
func TestItSyncs(t *testing.T) {
	s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if c := s.JetStreamConfig(); c == nil || !c.SyncAlways {
		t.Errorf("it is %+v", c)
	}
}
