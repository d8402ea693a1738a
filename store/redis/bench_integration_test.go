//go:build integration

package redis_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// BenchmarkClaimAndFinish measures a claim and its end against two commands that a
// program without this package would send: SET of a claim, SET of an answer, both with a
// TTL, of the same names and sizes, through the same client, by as many callers. Both are
// measured in turns, a little at a time, since machines are noisy; "of-raw" is the median
// of how they compare. "near" is a server on this machine, which shares its cores; "far"
// is the same at the end of a network that delays everything by a quarter of a millisecond,
// and by what timers add to that.
func BenchmarkClaimAndFinish(b *testing.B) {
	s := startServer(b)
	far := open(b, []string{startProxy(b, s.addr, 250*time.Microsecond).addr})
	near := open(b, []string{s.addr})
	for _, row := range []struct {
		where   string
		store   *redis.Store
		callers []int
	}{{"near", near, []int{1, 8, 64, 256}}, {"far", far, []int{64, 256}}} {
		for _, days := range []time.Duration{400, 1} {
			for _, callers := range row.callers {
				b.Run(fmt.Sprintf("%s/tombstones=%dd/callers=%d", row.where, days, callers), func(b *testing.B) {
					compare(b, s, row.store, days*24*time.Hour, callers)
				})
			}
		}
	}
}

// turn is for how long each is measured at a time.
const turn = 100 * time.Millisecond

func compare(b *testing.B, s *server, store *redis.Store, tombstones time.Duration, callers int) {
	var ratios, raws, stores, rawCosts, storeCosts []float64
	for b.Loop() {
		raw, rawCost := perSecond(b, s, callers, func(id string) { raw(b, store, id) })
		kept, cost := perSecond(b, s, callers, func(id string) { claimAndFinish(b, store, id, tombstones) })
		ratios, raws, stores = append(ratios, kept/raw), append(raws, raw), append(stores, kept)
		rawCosts, storeCosts = append(rawCosts, rawCost), append(storeCosts, cost)
	}
	b.ReportMetric(median(ratios), "of-raw")
	b.ReportMetric(median(raws), "raw/s")
	b.ReportMetric(median(stores), "store/s")
	b.ReportMetric(median(rawCosts), "raw-server-us")
	b.ReportMetric(median(storeCosts), "store-server-us")
}

// perSecond is how often callers get it done, each with a key of its own every time, and
// how many microseconds of its processor the server needs for one.
func perSecond(b *testing.B, s *server, callers int, do func(id string)) (rate, cost float64) {
	s.do(b, "FLUSHALL")
	before := s.cpu(b)
	var wg sync.WaitGroup
	counts := make([]int, callers)
	began := time.Now()
	for c := range callers {
		wg.Go(func() {
			for time.Since(began) < turn {
				do("0190b2e6-5f3c-7d2a-9e0b-" + strconv.Itoa(1_000_000+c) + strconv.Itoa(10_000+counts[c]))
				counts[c]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds(), (s.cpu(b) - before) / float64(total)
}

// cpu is what the server has used of its processor, in microseconds.
func (s *server) cpu(b *testing.B) (used float64) {
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(s.info(b, "cpu", name), 64)
		if err != nil {
			b.Fatal(err)
		}
		used += seconds * 1e6
	}
	return used
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// body is an answer of a usual size.
var body = []byte(`{"status":"done","padding":"` + strings.Repeat("x", 300) + `"}`)

func done(claim once.Record) once.Record {
	done, err := claim.Complete(1, "", once.Answer{Status: 200, Body: body})
	if err != nil {
		panic(err)
	}
	done.Version++
	return done
}

func claimAndFinish(b *testing.B, store *redis.Store, id string, tombstones time.Duration) {
	claim := claimed(id)
	claim.ForgetAt = claim.CreatedAt.Add(tombstones)
	seen, err := store.Swap(b.Context(), claim)
	if err != nil || !seen.Won {
		b.Errorf("claim: %+v %v", seen.Record, err)
	}
	if seen, err = store.Swap(b.Context(), done(claim)); err != nil || !seen.Won {
		b.Errorf("finish: %+v %v", seen.Record, err)
	}
}

// raw are the two commands. The records are made the same way, so that what is compared
// is what the store adds.
func raw(b *testing.B, store *redis.Store, id string) {
	c, claim := store.Client(), claimed(id)
	name := store.Name(claim.Key)
	value, _ := claim.AppendBinary(nil)
	if err := c.Do(b.Context(), c.B().Set().Key(name).Value(rueidis.BinaryString(value)).Nx().Px(30*time.Second).Build()).Error(); err != nil {
		b.Error(err)
	}
	answer := done(claim)
	value, _ = answer.AppendBinary(nil)
	if err := c.Do(b.Context(), c.B().Set().Key(name).Value(rueidis.BinaryString(value)).Px(24*time.Hour).Build()).Error(); err != nil {
		b.Error(err)
	}
}

// BenchmarkMemory measures what a key takes of the server's memory, all told, in each of
// its states, with an answer of a usual size.
func BenchmarkMemory(b *testing.B) {
	s := startServer(b)
	store := open(b, []string{s.addr})
	for _, kind := range []struct {
		name string
		make func(once.Record) once.Record
	}{
		{"claimed", func(r once.Record) once.Record { return r }},
		{"done", func(r once.Record) once.Record { return done(r) }},
		{"done-without-tombstone", func(r once.Record) once.Record { r.ForgetAt = r.ExpiresAt; return done(r) }},
		{"tombstone", func(r once.Record) once.Record { return redis.Tombstone(done(r)) }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s.do(b, "FLUSHALL")
			before := used(b, s)
			n := 0
			for b.Loop() {
				r := kind.make(claimed("0190b2e6-5f3c-7d2a-9e0b-" + strconv.Itoa(100_000_000_000+n)))
				r.Version = 1
				if seen, err := store.Swap(b.Context(), r); err != nil || !seen.Won {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(used(b, s)-before)/float64(n), "bytes/key")
		})
	}
}

func used(b *testing.B, s *server) int {
	n, err := strconv.Atoi(s.info(b, "memory", "used_memory"))
	if err != nil {
		b.Fatal(err)
	}
	return n
}
