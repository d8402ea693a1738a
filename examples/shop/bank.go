package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// bank stands for somebody else's service. It knows charges by the key that they were
// made with, and makes none twice under one key.
type bank struct{ db *sql.DB }

func (b *bank) migrate(ctx context.Context) error {
	_, err := b.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS charges (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, cents INTEGER NOT NULL)")
	return err
}

// charge takes money. With SHOP_DIES=charged in the environment the shop dies before it
// hears of it.
func (b *bank) charge(ctx context.Context, key string, cents int64) (id string, err error) {
	if _, err := b.db.ExecContext(ctx, "INSERT INTO charges (key, cents) VALUES (?, ?) ON CONFLICT DO NOTHING", key, cents); err != nil {
		return "", err
	}
	if os.Getenv("SHOP_DIES") == "charged" {
		os.Exit(1)
	}
	return b.find(ctx, key)
}

// find returns the id of a charge, "" if there is none.
func (b *bank) find(ctx context.Context, key string) (id string, err error) {
	var number int64
	err = b.db.QueryRowContext(ctx, "SELECT number FROM charges WHERE key = ?", key).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return fmt.Sprintf("ch_%d", number), err
}

// list shows all charges.
func (b *bank) list(w http.ResponseWriter, r *http.Request) {
	var number, cents int64
	err := b.db.QueryRowContext(r.Context(), "SELECT count(*), coalesce(sum(cents), 0) FROM charges").Scan(&number, &cents)
	if err != nil {
		http.Error(w, "the bank is closed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"charges":%d,"cents":%d}`+"\n", number, cents)
}
