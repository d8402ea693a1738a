// Points keeps a ledger of points: for each payment that has succeeded its customer gets
// some, once, however often the broker delivers and whenever the process dies.
//
//	go run ./examples/points -dir points -broker nats://127.0.0.1:4222
//	go run ./examples/points -dir points -broker kafka://127.0.0.1:9092
//	go run ./examples/points -dir points -list
//
// The stream EVENTS of NATS, or the topic events of Kafka, has payment.succeeded as CloudEvents, as oncepay sends them. A delivery
// is five steps: receive, claim, effect, mark, acknowledge. The three in the middle are one
// commit, so that there are two places only where a crash leaves anything between: before that
// commit, and nothing has happened; after it, and the message comes again and is known.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

func main() {
	dir := flag.String("dir", "points", "where the ledger is")
	broker := flag.String("broker", "nats://127.0.0.1:4222", "where the events are")
	list := flag.Bool("list", false, "print who has how many, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *broker, *list); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir, broker string, list bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l, err := openLedger(ctx, dir)
	if err != nil {
		return err
	}
	defer l.db.Close()
	if list {
		return l.print(ctx)
	}
	return l.take(ctx, broker)
}

// window is how long an event is remembered: longer than the broker keeps it.
const window = 35 * 24 * time.Hour

// ledger is who has how many points, in a file.
type ledger struct {
	db  *sql.DB
	add sqlkeys.Operation[struct{}] // is one commit with the mark of its message
}

func openLedger(ctx context.Context, dir string) (*ledger, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "points.db")+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	keys := sqlkeys.New(db)
	err = keys.Migrate(ctx)
	for _, table := range []string{
		"CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, payment TEXT NOT NULL, customer TEXT NOT NULL, points INTEGER NOT NULL)",
		"CREATE TABLE IF NOT EXISTS dead (id TEXT PRIMARY KEY, body BLOB NOT NULL, reason TEXT NOT NULL)",
	} {
		_, failed := db.ExecContext(ctx, table)
		err = errors.Join(err, failed)
	}
	if err != nil {
		return nil, err
	}
	secret := cmp.Or(os.Getenv("POINTS_SECRET"), "32 random bytes, kept where secrets are")
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte(secret), Window: window})
	if err != nil {
		return nil, err
	}
	return &ledger{db: db, add: sqlkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: eng, Name: "points"}}}, nil
}

// consumer gives points for payments.
func (l *ledger) consumer(effect consume.Effect) (*consume.Consumer, error) {
	return consume.New(consume.Config{
		Name: "points", Dead: l.bury, Tries: consume.Tries{Failures: 3, First: 100 * time.Millisecond, Most: 5 * time.Second},
		Observe: func(_ context.Context, m consume.Message, o consume.Outcome) {
			if o.Action != consume.Ack {
				log.Printf("%s: %v: %v", m.ID, o.Action, o.Err)
			}
			die("marked", m.ID)
		},
	}, effect)
}

// points is the effect: a row in the transaction that the mark is in.
func points(ctx context.Context, tx *sql.Tx, m consume.Message) error {
	die("claimed", m.ID)
	e, err := consume.ParseEvent(m.Body)
	if err != nil || e.Type != "payment.succeeded" {
		return err // other events are nothing to us: done
	}
	var payment struct {
		ID, Customer string
		Amount       int64
	}
	if err := json.Unmarshal(e.Data, &payment); err != nil || payment.Customer == "" {
		return fmt.Errorf("%s is no payment of a customer's: %w", e.Subject, cmp.Or(err, errNobody))
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO entries (payment, customer, points) VALUES (?, ?, ?)", payment.ID, payment.Customer, payment.Amount/100)
	die("effect", m.ID)
	return err
}

var errNobody = errors.New("it names nobody")

// bury keeps a message that came to nothing, once, for somebody to look at.
func (l *ledger) bury(ctx context.Context, m consume.Message, why error) error {
	_, err := l.db.ExecContext(ctx, "INSERT INTO dead VALUES (?, ?, ?) ON CONFLICT DO NOTHING", m.ID, m.Body, consume.Brief(why, 500))
	return err
}

// print prints who has how many points.
func (l *ledger) print(ctx context.Context) error {
	rows, err := l.db.QueryContext(ctx, "SELECT customer, sum(points) FROM entries GROUP BY 1 ORDER BY 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var customer string
		var points int64
		if err := rows.Scan(&customer, &points); err != nil {
			return err
		}
		fmt.Println(customer, points)
	}
	return rows.Err()
}

// die kills the process where POINTS_DIES says so: it stands for a crash there.
func die(step, id string) {
	if os.Getenv("POINTS_DIES") == step+" "+id {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
