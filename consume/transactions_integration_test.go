//go:build integration

package consume_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var secret = []byte("the same for all of this database")

// pgLedger is a table of effects in PostgreSQL, and what adds to it in one commit with the mark.
func pgLedger(t testing.TB, url string) (*pgxpool.Pool, consume.Effect) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "CREATE TABLE points (message text NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	op := &pgkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: engine(t, keys), Name: "points"}}
	return pool, consume.In(op, addPoints)
}

func addPoints(ctx context.Context, tx pgx.Tx, m consume.Message) error {
	_, err := tx.Exec(ctx, "INSERT INTO points VALUES ($1)", m.ID)
	return err
}

func engine(t testing.TB, store once.Store) *once.Engine {
	t.Helper()
	eng, err := once.New(store, once.Config{Scope: once.SingleTenant, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// Effects in PostgreSQL, through both of its drivers, happen once for each message: of many
// deliveries at once, whose functions fail after they have written.
func TestEffectsInPostgreSQLHappenOnce(t *testing.T) {
	pool, throughPGX := pgLedger(t, pgtest.Database(t))
	db, err := sql.Open("pgx", pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	keys, err := stdkeys.New(db, stdkeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	op := &stdkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: engine(t, keys), Name: "points"}}
	var tried atomic.Int64
	throughSQL := consume.In(op, func(ctx context.Context, tx *sql.Tx, m consume.Message) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO points VALUES ($1)", m.ID)
		if tried.Add(1)%3 == 0 {
			return errors.New("it fails, and has written")
		}
		return err
	})
	const messages, deliveries = 20, 6
	var working sync.WaitGroup
	for n := range deliveries {
		c, err := consume.New(consume.Config{Name: "points", Tries: consume.Tries{Failures: 100}}, []consume.Effect{throughPGX, throughSQL}[n%2])
		if err != nil {
			t.Fatal(err)
		}
		for i := range messages {
			working.Go(func() {
				m := consume.Message{ID: fmt.Sprintf("m-%d", i), Body: []byte("x")}
				for c.Handle(t.Context(), m).Action != consume.Ack {
				}
			})
		}
	}
	working.Wait()
	var effects, apart int
	if err := pool.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT message) FROM points").Scan(&effects, &apart); err != nil {
		t.Fatal(err)
	}
	if effects != messages || apart != messages {
		t.Errorf("%d messages had %d effects, of %d", messages, effects, apart)
	}
}

// Failures while the database is away are nobody's fault: the message is done when it is back.
func TestADatabaseThatIsAway(t *testing.T) {
	server := pgtest.Start(t)
	server.SQL(t, "postgres", "CREATE TABLE points (message text NOT NULL)")
	pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	op := &pgkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: engine(t, keys), Name: "points"}}
	c, err := consume.New(consume.Config{Name: "points", Tries: consume.Tries{Failures: 1}}, consume.In(op, addPoints))
	if err != nil {
		t.Fatal(err)
	}
	m := consume.Message{ID: "m", Body: []byte("x")}
	server.Crash()
	for range 3 {
		if o := c.Handle(t.Context(), m); o.Action != consume.Retry || o.Failed || o.After <= 0 {
			t.Errorf("while it is away it is %v after %v (failed: %v): %v", o.Action, o.After, o.Failed, o.Err)
		}
	}
	server.Restart(t)
	for end := time.Now().Add(30 * time.Second); ; {
		if c.Handle(t.Context(), m).Action == consume.Ack {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not done when the database is back")
		}
	}
	if got := server.SQL(t, "postgres", "SELECT count(*) FROM points"); got != "1" {
		t.Errorf("it happened %s times", got)
	}
}

// pgBatches is pgLedger for batches; a message whose body says so is poison.
func pgBatches(t testing.TB, url string) (*pgxpool.Pool, consume.Effect) {
	t.Helper()
	pool, _ := pgLedger(t, url)
	return pgBatchesOn(t, pool)
}

func pgBatchesOn(t testing.TB, pool *pgxpool.Pool) (*pgxpool.Pool, consume.Effect) {
	t.Helper()
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	op := &pgkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: engine(t, keys), Name: "points"}}
	return pool, consume.InBatches(op, addAll)
}

func addAll(ctx context.Context, tx pgx.Tx, ms []consume.Message) error {
	ids := make([]string, len(ms))
	for i, m := range ms {
		if ids[i] = m.ID; string(m.Body) == "poison" {
			return errors.New("poison")
		}
	}
	_, err := tx.Exec(ctx, "INSERT INTO points SELECT unnest($1::text[])", ids)
	return err
}

// In batches every message has its effect once too: batches that overlap, whose messages
// come twice, one of them poison, one another message under an id, one without any.
func TestBatchesHappenOnce(t *testing.T) {
	pool, effect := pgBatches(t, pgtest.Database(t))
	c, err := consume.New(consume.Config{Name: "points", Tries: consume.Tries{Failures: 3}}, effect)
	if err != nil {
		t.Fatal(err)
	}
	batch := func(from int) (ms []consume.Message) {
		for i := from; i < from+20; i++ {
			ms = append(ms, consume.Message{ID: fmt.Sprintf("m-%d", i), Body: []byte("x")})
		}
		ms[7].Body = []byte("poison")
		return append(ms, ms[3], consume.Message{ID: ms[4].ID, Body: []byte("another")}, consume.Message{Body: []byte("x")})
	}
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for try := range 4 {
				for i, o := range c.HandleAll(t.Context(), batch(0)) {
					want := consume.Ack
					switch {
					case i == 7 && o.Action == consume.Retry && try < 3:
						continue
					case i == 7, i == 21, i == 22:
						want = consume.Dead
					}
					if o.Action != want && !(i == 7 && o.Action == consume.Retry) {
						t.Errorf("message %d is %v: %v", i, o.Action, o.Err)
					}
				}
			}
		})
	}
	working.Wait()
	if o := c.HandleAll(t.Context(), batch(10)); o[0].Action != consume.Ack || o[19].Action != consume.Ack {
		t.Errorf("what overlaps is %v", o)
	}
	var effects, apart, poison int
	if err := pool.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT message), count(*) FILTER (WHERE message = 'm-7') FROM points").Scan(&effects, &apart, &poison); err != nil {
		t.Fatal(err)
	}
	if want := 29; effects != want || apart != want || poison != 0 { // of 30
		t.Errorf("%d effects of %d messages, %d of poison; want %d", effects, apart, poison, want)
	}
}

// BenchmarkHandleAll is BenchmarkHandle for batches of 100.
func BenchmarkHandleAll(b *testing.B) {
	pool, effect := pgBatches(b, pgtest.Start(b).URL("postgres"))
	c, err := consume.New(consume.Config{Name: "points"}, effect)
	if err != nil {
		b.Fatal(err)
	}
	const size = 100
	var n atomic.Int64
	for name, handle := range map[string]func(context.Context, []consume.Message) error{
		"bare": func(ctx context.Context, ms []consume.Message) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return addAll(ctx, tx, ms) })
		},
		"once": func(ctx context.Context, ms []consume.Message) error {
			for _, o := range c.HandleAll(ctx, ms) {
				if o.Err != nil {
					return o.Err
				}
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					ms := make([]consume.Message, size)
					for i := range ms {
						ms[i] = consume.Message{ID: fmt.Sprint(n.Add(1)), Body: []byte(`{"amount":1000}`)}
					}
					if err := handle(context.Background(), ms); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkHandle is the wrapper beside a bare handler that does the same in a transaction
// of its own, on the same server in the same run.
func BenchmarkHandle(b *testing.B) {
	pool, effect := pgLedger(b, pgtest.Start(b).URL("postgres"))
	c, err := consume.New(consume.Config{Name: "points"}, effect)
	if err != nil {
		b.Fatal(err)
	}
	_, together := pgBatchesOn(b, pool)
	alone, err := consume.New(consume.Config{Name: "alone"}, together)
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	for name, handle := range map[string]func(context.Context, consume.Message) error{
		"bare": func(ctx context.Context, m consume.Message) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return addPoints(ctx, tx, m) })
		},
		"once": func(ctx context.Context, m consume.Message) error { return c.Handle(ctx, m).Err },
		"together": func(ctx context.Context, m consume.Message) error {
			return alone.HandleAll(ctx, []consume.Message{m})[0].Err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := handle(context.Background(), consume.Message{ID: fmt.Sprint(n.Add(1)), Body: []byte(`{"amount":1000}`)}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
