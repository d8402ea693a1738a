//go:build integration

package pgkeys_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys"
)

// The order, its event, its key and its answer are one commit in the shop's own database.
func ExampleOperation() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	keys, err := pgkeys.New(pool, pgkeys.Config{})
	if err != nil {
		panic(err)
	}
	if err := keys.Migrate(ctx); err != nil {
		panic(err)
	}
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte("32 random bytes, kept by a server")})
	if err != nil {
		panic(err)
	}
	go eng.Keep(ctx)
	placed := pgkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	number, err := placed.Do(ctx, "cart-7", "tea", func(ctx context.Context, tx pgx.Tx, _ *once.Attempt) (number int64, err error) {
		err = tx.QueryRow(ctx, "INSERT INTO orders (item) VALUES ('tea') RETURNING number").Scan(&number)
		if err == nil {
			_, err = tx.Exec(ctx, "INSERT INTO outbox (event) VALUES ('order.placed')")
		}
		return number, err
	})
	fmt.Println("order", number, err)
}

// The example is run here, since it needs a database.
func TestTheExample(t *testing.T) {
	url := pgtest.Database(t)
	t.Setenv("DATABASE_URL", url)
	s := newShop(t, openPool(t, url), pgkeys.Config{})
	s.exec(t, "CREATE TABLE outbox (event text NOT NULL)")
	ExampleOperation()
	ExampleOperation()
	var events int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM outbox").Scan(&events); err != nil || events != 1 || s.sold(t, "tea") != 1 {
		t.Errorf("%d events of %d orders: %v", events, s.sold(t, "tea"), err)
	}
}
