package pebble_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pebble"
)

// kills is how many processes are killed: each leaves the store to the next.
const kills = 30

// raceUntilKilled has pairs of goroutines claim and complete the same keys, and says
// who won what when that was acknowledged.
func raceUntilKilled(path string) {
	s, err := pebble.Open(context.Background(), quiet(path))
	if err != nil {
		fmt.Println("not opened:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	won := func(r once.Record) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(r.Key.ID, r.Version, r.Owner)
	}
	var wg sync.WaitGroup
	for lane := range 8 {
		for rival := range 2 {
			wg.Go(func() {
				for n := 0; ; n++ {
					claimAndComplete(s, fmt.Sprintf("%d-%d-%d", os.Getpid(), lane, n), fmt.Sprint("rival-", rival), won)
				}
			})
		}
	}
	wg.Wait()
}

func claimAndComplete(s *pebble.Store, id, owner string, won func(once.Record)) {
	r := claimed(id, time.Now())
	for r.Version <= 2 {
		r.Owner = owner
		seen, err := s.Swap(context.Background(), r)
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		if seen.Won {
			won(seen.Record)
		}
		if seen.Record.Version > 1 {
			return
		}
		r, _ = seen.Record.Complete(seen.Record.Attempt, "", once.Answer{Status: 201, Body: body(r)})
		r.Version++
	}
}

// A process that is killed loses nothing that it has acknowledged, and nobody wins a
// version twice.
func TestKilled(t *testing.T) {
	path := t.TempDir()
	winners := map[string]map[int64]string{} // by key and version
	total := 0
	for range kills {
		total += raceAndKill(t, path, winners)
	}
	s := mustOpen(t, func() (*pebble.Store, error) { return pebble.Open(context.Background(), quiet(path)) })
	for id, versions := range winners {
		checkWinners(t, load(t, s, once.Key{Tenant: "acme", ID: id}), id, versions)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills, %d acknowledged writes to %d keys", kills, total, len(winners))
	if total < 10*kills {
		t.Errorf("only %d writes were acknowledged", total)
	}
}

// raceAndKill has a process race, kills it, and takes down what it has acknowledged.
func raceAndKill(t *testing.T, path string, winners map[string]map[int64]string) (n int) {
	cmd := helper(t, "race", path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	until := 20 + rand.IntN(400)
	for scan := bufio.NewScanner(out); scan.Scan(); n++ {
		var id, owner string
		var version int64
		if _, err := fmt.Sscan(scan.Text(), &id, &version, &owner); err != nil {
			t.Fatalf("%s: %v", scan.Text(), err)
		}
		if winners[id] == nil {
			winners[id] = map[int64]string{}
		}
		if before := winners[id][version]; before != "" {
			t.Errorf("%s and %s have both won version %d of %s", before, owner, version, id)
		}
		winners[id][version] = owner
		if n == until {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // it was killed
	return n
}

func checkWinners(t *testing.T, r once.Record, id string, versions map[int64]string) {
	t.Helper()
	for version, owner := range versions {
		if r.Version < version || r.Version == version && r.Owner != owner {
			t.Errorf("%s was won by %s at version %d, and is %s of %s at version %d", id, owner, version, r.State, r.Owner, r.Version)
		}
	}
}
