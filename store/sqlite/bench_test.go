package sqlite_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlite"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// teller makes batches as the executor does, one after another.
type teller struct {
	s     engine.Store
	ids   *id.Source
	now   time.Time
	seq   int64
	left  int64
	n     int
	keyed func(n int) string
}

func newTeller(s engine.Store) *teller {
	t := &teller{s: s, ids: id.NewSource(id.Seed()), now: time.Now().UTC().Truncate(time.Microsecond)}
	t.keyed = t.timeOrderedKey
	return t
}

// timeOrderedKey looks like a UUIDv7.
func (t *teller) timeOrderedKey(int) string {
	var b [8]byte
	rand.Read(b[:])
	return fmt.Sprintf("%016x-7%s", uint64(t.now.UnixNano())+uint64(t.n), hex.EncodeToString(b[:]))
}

func randomKey(int) string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:])
}

// decide loads what commands need and decides them: the changes of one batch.
func (t *teller) decide(tb testing.TB, commands ...ledger.Command) *engine.Changes {
	tb.Helper()
	t.now = t.now.Add(2 * time.Millisecond)
	c, err := t.try(commands...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (t *teller) try(commands ...ledger.Command) (*engine.Changes, error) {
	ctx := context.Background()
	book := ledger.NewBook()
	var keys []once.Key
	for _, c := range commands {
		c.Needs(book)
		t.n++
		keys = append(keys, once.Key{Tenant: "acme", ID: t.keyed(t.n)})
	}
	for range 2 {
		need := engine.Need{Rows: book.Wanted()}
		if keys != nil {
			need.Keys = keys
		}
		if t.left < int64(2*len(commands)) {
			need.Entries, t.left = 8192, 8192
		}
		rows, err := t.s.Load(ctx, need)
		if err != nil {
			return nil, err
		}
		if need.Entries > 0 {
			t.seq = rows.FirstEntry
		}
		for _, a := range rows.Accounts {
			book.PutAccount(a)
		}
		for _, x := range rows.Transfers {
			book.PutTransfer(x)
		}
		for _, c := range commands {
			c.Needs(book)
		}
		if w := book.Wanted(); w.Empty() {
			break
		} else {
			for _, r := range w.Accounts {
				book.WantAccount(r)
			}
			rows, err := t.s.Load(ctx, engine.Need{Rows: w})
			if err != nil {
				return nil, err
			}
			for _, a := range rows.Accounts {
				book.PutAccount(a)
			}
		}
		break
	}
	book.Reserve(t.seq)
	changes := &engine.Changes{At: t.now}
	for i, c := range commands {
		result, err := c.Decide(book, ledger.Moment{Now: t.now, IDs: t.ids})
		if err != nil {
			return nil, err
		}
		changes.Keys = append(changes.Keys, t.record(keys[i], result))
	}
	t.left -= book.NextEntry() - t.seq
	t.seq = book.NextEntry()
	written, err := book.Changes()
	changes.Ledger = written
	return changes, err
}

// record is a key with its answer, of the sizes that the API has.
func (t *teller) record(key once.Key, r ledger.Result) once.Record {
	var body []byte
	if r.Transfer != nil {
		body = r.Transfer.AppendJSON(nil)
	} else {
		body = r.Account.AppendJSON(nil)
	}
	rec := once.Record{
		Key: key, State: once.Done, Operation: "POST /v1/transfers", Resource: r.ID(), Attempt: 1,
		CreatedAt: t.now, ExpiresAt: t.now.Add(24 * time.Hour),
		Answer: once.Answer{
			Status: 201, Body: body,
			Header: []once.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Location", Value: "/v1/transfers/" + r.ID()}},
		},
	}
	rec.Fingerprint.Scheme = once.SchemeV1
	rand.Read(rec.Fingerprint.Sum[:])
	return rec
}

func accountName(i int) string { return fmt.Sprintf("customer-%06d", i) }

func (t *teller) openAccounts(tb testing.TB, n int) {
	tb.Helper()
	for from := 0; from < n; from += 500 {
		var cs []ledger.Command
		for i := from; i < min(n, from+500); i++ {
			cs = append(cs, ledger.OpenAccount{Ref: ledger.Ref{Tenant: "acme", ID: accountName(i)}, Currency: "EUR", Floor: ledger.Floor{None: true}})
		}
		if err := t.s.Commit(context.Background(), t.decide(tb, cs...)); err != nil {
			tb.Fatal(err)
		}
	}
}

func transfer(from, to int, amount int64) ledger.CreateTransfer {
	return ledger.CreateTransfer{Tenant: "acme", From: accountName(from), To: accountName(to), Amount: amount, Currency: "EUR"}
}

// threadTime is the processor time of this thread: it says what a commit costs
// also where others are busy on the machine.
func threadTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(1, &u); err != nil { // RUSAGE_THREAD
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{48, 256} {
		for _, w := range []struct {
			name string
			from func(i int) int
			keys string
		}{
			{"spread", func(i int) int { return i * 7919 % 1000 }, "ordered"},
			{"spread", func(i int) int { return i * 7919 % 1000 }, "random"},
			{"hot", func(int) int { return 0 }, "ordered"},
		} {
			b.Run(fmt.Sprintf("batch=%d/accounts=%s/keys=%s", size, w.name, w.keys), func(b *testing.B) {
				t := newTeller(open(b, filepath.Join(b.TempDir(), "bench.db")))
				if w.keys == "random" {
					t.keyed = randomKey
				}
				t.openAccounts(b, 1000)
				b.ReportAllocs()
				n, spent := 0, time.Duration(0)
				runtime.LockOSThread() // so that the thread's time is that of the commits
				defer runtime.UnlockOSThread()
				for b.Loop() {
					b.StopTimer()
					var cs []ledger.Command
					for range size {
						n++
						from := w.from(n)
						cs = append(cs, transfer(from, (from+1+n%998)%1000, 5))
					}
					c := t.decide(b, cs...)
					b.StartTimer()
					before := threadTime(b)
					if err := t.s.Commit(context.Background(), c); err != nil {
						b.Fatal(err)
					}
					spent += threadTime(b) - before
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tr/s")
				b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/tr")
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, keys := range []string{"ordered", "random"} {
		b.Run("batch=48/keys="+keys, func(b *testing.B) {
			t := newTeller(open(b, filepath.Join(b.TempDir(), "bench.db")))
			if keys == "random" {
				t.keyed = randomKey
			}
			t.openAccounts(b, 1000)
			t.run(b, 100_000)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				t.run(b, 48) // every load sees a commit that the one before did not
				need := t.need(48)
				n += 48
				b.StartTimer()
				if _, err := t.s.Load(context.Background(), need); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tr/s")
		})
	}
}

// run commits n transfers in batches.
func (t *teller) run(tb testing.TB, n int) {
	tb.Helper()
	for n > 0 {
		var cs []ledger.Command
		for range min(n, 256) {
			cs = append(cs, transfer(t.n%1000, (t.n+1+t.n/1000%998)%1000, 5))
			t.n++
			n--
		}
		if err := t.s.Commit(context.Background(), t.decide(tb, cs...)); err != nil {
			tb.Fatal(err)
		}
	}
}

// need is what n transfers with new keys have to know.
func (t *teller) need(n int) (need engine.Need) {
	book := ledger.NewBook()
	for range n {
		t.n++
		transfer(t.n*7919%1000, t.n*31%1000, 5).Needs(book)
		need.Keys = append(need.Keys, once.Key{Tenant: "acme", ID: t.keyed(t.n)})
	}
	need.Rows = book.Wanted()
	return need
}
