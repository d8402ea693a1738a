// Booking sells seats from a PostgreSQL database, once for each order.
//
//	go run ./examples/booking -db postgres://localhost/shop -seats 10
//	go run ./examples/booking -db postgres://localhost/shop -order order-42 -customer alice
//
// Run the second line as often as you like, from as many machines as you like, and kill it
// whenever you like: the seat, the row of the order, the event that others are told and the
// key are one commit. There is no moment at which it is not known what happened, so there
// is nothing to be found out afterwards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

func main() {
	db := flag.String("db", "", "URL of the database")
	seats := flag.Int("seats", 0, "makes the tables, with so many seats")
	order := flag.String("order", "", "the order: whoever sends it made this up, once")
	customer := flag.String("customer", "", "who buys")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *db, *seats, *order, *customer); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url string, seats int, order, customer string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	b, err := newBox(pool)
	if err != nil {
		return err
	}
	if seats > 0 {
		return b.build(ctx, seats)
	}
	seat, err := b.sell(ctx, order, customer)
	if err != nil {
		return err
	}
	fmt.Printf("%s has seat %d\n", customer, seat)
	return nil
}

// box sells seats.
type box struct {
	pool *pgxpool.Pool
	keys *pgkeys.Keys
	sale pgkeys.Operation[int64]
}

func newBox(pool *pgxpool.Pool) (*box, error) {
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		return nil, err
	}
	// A service has a secret of its own; this one is in a book.
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte("the secret of examples/booking")})
	if err != nil {
		return nil, err
	}
	return &box{pool, keys, pgkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "sale"}}}, nil
}

func (b *box) build(ctx context.Context, seats int) error {
	if err := b.keys.Migrate(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		"CREATE TABLE seats (number bigint PRIMARY KEY, customer text)",
		"CREATE TABLE outbox (number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, event text NOT NULL)",
		fmt.Sprintf("INSERT INTO seats SELECT generate_series(1, %d)", seats),
	} {
		if _, err := b.pool.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// sell sells a seat, once for an order. That there is none is an answer, too: whoever asks
// again gets it, whatever has become free since.
func (b *box) sell(ctx context.Context, order, customer string) (seat int64, err error) {
	return b.sale.Do(ctx, order, customer, func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (int64, error) {
		err := tx.QueryRow(ctx, `UPDATE seats SET customer = $1 WHERE number =
			(SELECT number FROM seats WHERE customer IS NULL ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number`, customer).Scan(&seat)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, &once.Refusal{Code: "sold_out", Message: "no seat is left"}
		}
		if err != nil {
			return 0, err
		}
		if os.Getenv("BOOKING_DIES") == "sold" {
			os.Exit(1)
		}
		_, err = tx.Exec(ctx, "INSERT INTO outbox (event) VALUES ($1)", fmt.Sprintf("%s has seat %d", customer, seat))
		return seat, err
	})
}
