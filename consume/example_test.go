package consume_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/consume"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

// The effect of a message is a row, in one transaction with the mark that it has happened:
// delivered again, it is acknowledged and nothing else.
func Example() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:points?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	keys := sqlkeys.New(db)
	if err := keys.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	db.ExecContext(ctx, "CREATE TABLE points (customer TEXT PRIMARY KEY, points INTEGER)")

	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte("32 random bytes, kept with care.")})
	if err != nil {
		log.Fatal(err)
	}
	points := sqlkeys.Operation[struct{}]{Keys: keys, Operation: once.Operation[struct{}]{Engine: eng, Name: "points"}}
	c, err := consume.New(consume.Config{Name: "points"}, consume.In(&points, func(ctx context.Context, tx *sql.Tx, m consume.Message) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO points VALUES (?, 10) ON CONFLICT (customer) DO UPDATE SET points = points + 10", string(m.Body))
		return err
	}))
	if err != nil {
		log.Fatal(err)
	}

	for range 3 { // the broker delivers at least once
		outcome := c.Handle(ctx, consume.Message{ID: "evt_1", Body: []byte("alice")})
		fmt.Println(outcome.Action)
	}
	var total int
	db.QueryRowContext(ctx, "SELECT points FROM points").Scan(&total)
	fmt.Println(total, "points")
	// Output:
	// ack
	// ack
	// ack
	// 10 points
}

// What happens outside of the consumer's database cannot be one commit with its mark: it
// is given a key of its own, and a policy for when nobody knows.
func ExampleKeyed() {
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		log.Fatal(err)
	}
	mail := once.Operation[struct{}]{Engine: eng, Name: "mail", Vanished: once.Park}
	c, err := consume.New(consume.Config{Name: "mail"}, consume.Keyed(&mail, func(ctx context.Context, m consume.Message, a *once.Attempt) error {
		fmt.Println("mail is sent, under a key of its own:", a.Derive("mail") != "")
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		fmt.Println(c.Handle(context.Background(), consume.Message{ID: "evt_1", Body: []byte("{}")}).Action)
	}
	// Output:
	// mail is sent, under a key of its own: true
	// ack
	// ack
}
