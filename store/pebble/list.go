package pebble

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	lib "github.com/cockroachdb/pebble/v2"

	"github.com/oncepay/oncepay/once"
)

// Unfinished is [once.Lister]'s. What is being written just then is not shown.
func (s *Store) Unfinished(ctx context.Context, after string, limit int) (list []once.Record, next string, err error) {
	err = s.with(ctx, func() (err error) {
		list, next, err = s.unfinished(after, limit)
		return err
	})
	if err != nil {
		err = fmt.Errorf("pebble: list: %w", err)
	}
	return list, next, err
}

func (s *Store) unfinished(after string, limit int) (list []once.Record, next string, err error) {
	begin, err := readCursor(after)
	if err != nil {
		return nil, "", err
	}
	it, err := s.db.NewIter(&lib.IterOptions{LowerBound: begin, UpperBound: []byte{atWork + 1}})
	if err != nil {
		return nil, "", damage(err)
	}
	last := begin
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(list) >= limit {
			next = cursor(last)
			break
		}
		var r once.Record
		if r, err = readRecord(it); err == nil && !s.holds.writing(r.Key) { // otherwise it may not be durable yet
			list = append(list, r)
		}
		last = append(last[:0:0], it.Key()...)
	}
	if closed := it.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, "", damage(err)
	}
	return list, next, nil
}

// cursor is where a list goes on: behind a row, in a form that others can keep.
func cursor(row []byte) string { return base64.RawURLEncoding.EncodeToString(row) }

func readCursor(text string) (begin []byte, err error) {
	if text == "" {
		return []byte{atWork}, nil
	}
	row, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !bytes.HasPrefix(row, []byte{atWork}) {
		return nil, once.ErrCursor
	}
	return append(row, 0), nil
}
