//go:build integration

package redis

import (
	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
)

// Client is the store's own client: benchmarks put their yardstick through it.
func (s *Store) Client() rueidis.Client { return s.client }

// Name is the name of a key's record.
func (s *Store) Name(k once.Key) string { return s.names.record(k) }

// Tombstone is what is left of a record when its answer is gone.
func Tombstone(r once.Record) once.Record { return tombstone(r) }
