package sqlkeys_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

// The order, its key and its answer are one commit in the shop's own database.
func ExampleOperation() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "shop.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE orders (number INTEGER PRIMARY KEY, item TEXT NOT NULL)"); err != nil {
		panic(err)
	}

	keys := sqlkeys.New(db)
	if err := keys.Migrate(ctx); err != nil {
		panic(err)
	}
	eng, err := once.New(keys, once.Config{Scope: once.SingleTenant, Secret: []byte("32 random bytes, kept by a server")})
	if err != nil {
		panic(err)
	}
	order := sqlkeys.Operation[int64]{Keys: keys, Operation: once.Operation[int64]{Engine: eng, Name: "order"}}
	for range 2 {
		number, err := order.Do(ctx, "cart-7", "tea", func(ctx context.Context, tx *sql.Tx, _ *once.Attempt) (int64, error) {
			r, err := tx.ExecContext(ctx, "INSERT INTO orders (item) VALUES ('tea')")
			if err != nil {
				return 0, err
			}
			return r.LastInsertId()
		})
		fmt.Println("order", number, err)
	}
	var orders int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&orders)
	fmt.Println(orders, "order in all", err)
	// Output:
	// order 1 <nil>
	// order 1 <nil>
	// 1 order in all <nil>
}
