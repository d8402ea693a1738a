//go:build integration

package stdkeys_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"

	"github.com/oncepay/oncepay/internal/pgtest"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/pgkeys/stdkeys"
)

// The order, its event, its key and its answer are one commit in the shop's own database.
func ExampleOperation() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL")) // or lib/pq's "postgres"
	if err != nil {
		panic(err)
	}
	defer db.Close()
	keys, err := stdkeys.New(db, stdkeys.Config{})
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
	placed := stdkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	number, err := placed.Do(ctx, "cart-7", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (number int64, err error) {
		err = tx.QueryRowContext(ctx, "INSERT INTO orders (item) VALUES ('tea') RETURNING number").Scan(&number)
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO outbox (event) VALUES ('order.placed')")
		}
		return number, err
	})
	fmt.Println("order", number, err)
}

// The example is run here, since it needs a database.
func TestTheExample(t *testing.T) {
	url := pgtest.Database(t)
	t.Setenv("DATABASE_URL", url)
	s := newShop(t, url, stdkeys.Config{})
	s.exec(t, "CREATE TABLE outbox (event text NOT NULL)")
	ExampleOperation()
	ExampleOperation()
	if events, sold := s.count(t, "SELECT count(*) FROM outbox"), s.sold(t, "tea"); events != 1 || sold != 1 {
		t.Errorf("%d events of %d orders", events, sold)
	}
}
