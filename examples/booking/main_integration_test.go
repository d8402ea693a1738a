//go:build integration

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/internal/pgtest"
)

// TestMain is the program itself where a test has asked for it.
func TestMain(m *testing.M) {
	if os.Getenv("BOOKING_ARGS") == "" {
		pgtest.Main(m)
	}
	os.Args = append(os.Args[:1], strings.Fields(os.Getenv("BOOKING_ARGS"))...)
	main()
}

// book runs the program as a process of its own.
func book(env string, args ...string) (said string, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env, "BOOKING_ARGS="+strings.Join(args, " "))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A seat is sold once for an order: to many processes at once, and to one that died when
// it had sold it.
func TestSeatsAreSoldOnce(t *testing.T) {
	s := pgtest.Start(t)
	url := s.URL("postgres")
	if said, err := book("", "-db", url, "-seats", "2"); err != nil {
		t.Fatal(said, err)
	}
	if said, err := book("BOOKING_DIES=sold", "-db", url, "-order", "order-1", "-customer", "alice"); err == nil {
		t.Errorf("it should have died: %s", said)
	}
	told := make([]string, 6)
	var wg sync.WaitGroup
	for i := range told {
		wg.Go(func() { told[i], _ = book("", "-db", url, "-order", "order-1", "-customer", "alice") })
	}
	wg.Wait()
	for _, said := range told {
		if said != fmt.Sprintln("alice has seat 1") {
			t.Errorf("it says %q", said)
		}
	}
	for i, want := range []string{"bob has seat 2", "no seat is left", "no seat is left"} {
		order := fmt.Sprint("order-", min(i, 1)+2)
		if said, _ := book("", "-db", url, "-order", order, "-customer", "bob"); !strings.Contains(said, want) {
			t.Errorf("%s is told %q, want %q", order, said, want)
		}
	}
	if got := s.SQL(t, "postgres", "SELECT string_agg(event, '; ' ORDER BY number) FROM outbox"); got != "alice has seat 1; bob has seat 2" {
		t.Errorf("others are told %q", got)
	}
}
