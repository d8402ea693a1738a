package pgrows

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/once"
)

// Row is one that a driver shows.
type Row interface{ Scan(...any) error }

// Asker sends a statement that shows one row, to a database or in a transaction. Where
// there is no row the error is sql.ErrNoRows.
type Asker func(ctx context.Context, sql string, args ...any) Row

// Swap is once.Store's.
func (t *Tables) Swap(ctx context.Context, ask Asker, next once.Record) (once.Seen, error) {
	q, err := t.Write(next)
	if err != nil {
		return once.Seen{}, err
	}
	seen, err := Scan(ask(ctx, q.SQL, q.Args...))
	if err != nil {
		return once.Seen{}, fmt.Errorf("write a key: %w", err)
	}
	return t.Show(ctx, ask, next, seen)
}

// Show is what a write came to.
func (t *Tables) Show(ctx context.Context, ask Asker, next once.Record, seen Seen) (once.Seen, error) {
	switch {
	case seen.Won:
		return once.Seen{Record: next, Won: true, At: seen.At}, nil
	case seen.Stale(next):
		return t.Read(ctx, ask, next.Key)
	}
	return t.Whole(ctx, ask, next.Key, seen)
}

// Read is once.Store's Load.
func (t *Tables) Read(ctx context.Context, ask Asker, key once.Key) (once.Seen, error) {
	seen, err := Scan(ask(ctx, t.Load, ByKey(key)...))
	if err != nil {
		return once.Seen{}, fmt.Errorf("read a key: %w", err)
	}
	return t.Whole(ctx, ask, key, seen)
}

// Whole is what was seen under a key, with its answer.
func (t *Tables) Whole(ctx context.Context, ask Asker, key once.Key, seen Seen) (once.Seen, error) {
	seen.Record.Key = key
	q, elsewhere := t.Answer(seen)
	if !elsewhere {
		return seen.Seen, nil
	}
	err := seen.Put(ask(ctx, q.SQL, q.Args...))
	if errors.Is(err, sql.ErrNoRows) {
		seen.Over()
	} else if err != nil {
		return once.Seen{}, fmt.Errorf("read an answer: %w", err)
	}
	return seen.Seen, nil
}

// Place is where a list goes on: behind a key.
func Place(k once.Key) string {
	text, _ := json.Marshal(k) // two texts
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParsePlace reads what Place wrote, or fails with an ErrCursor. The beginning is before
// every key, since no key has an empty name.
func ParsePlace(after string) (k once.Key, err error) {
	if after == "" {
		return k, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return k, once.ErrCursor
	}
	return k, nil
}
