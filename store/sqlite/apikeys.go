package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/access"
)

const apiKeyColumns = "id, tenant, role, hash, created_at, revoked_at"

// CreateAPIKey keeps what is kept of an API key. It fails if there is one with
// this id or hash.
func (s *Store) CreateAPIKey(_ context.Context, k access.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(func(w *writer) error {
		q, err := w.c.stmt("INSERT INTO api_keys (" + apiKeyColumns + ") VALUES (?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		_, err = q.text(k.ID).text(k.Tenant).text(string(k.Role)).blob(k.Hash[:]).time(k.CreatedAt).timeOrNull(k.RevokedAt).exec()
		return err
	})
}

// RevokeAPIKey makes a key invalid from now on. It says whether there is such a
// key; one that is revoked already stays as it is.
func (s *Store) RevokeAPIKey(_ context.Context, id string) (found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.write(func(w *writer) error {
		q, err := w.c.stmt("UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1")
		if err != nil {
			return err
		}
		changed, err := q.text(id).time(time.Now()).exec()
		found = changed > 0
		return err
	})
	return found && err == nil, err
}

// APIKeys returns all keys, revoked ones included, the newest first.
func (r *pool) APIKeys(ctx context.Context) (keys []access.Key, err error) {
	err = r.read(ctx, func(c *conn) error {
		q, err := c.stmt("SELECT " + apiKeyColumns + " FROM api_keys ORDER BY created_at DESC, id DESC")
		if err != nil {
			return err
		}
		for q.next(&err) {
			k, bad := q.columnAPIKey()
			if bad != nil {
				q.reset()
				return bad
			}
			keys = append(keys, k)
		}
		return err
	})
	return keys, wrap("API keys", err)
}

// Credential returns the key with this hash, and whether it is valid: there is
// one, and it is not revoked.
func (r *pool) Credential(ctx context.Context, h access.Hash) (k access.Key, ok bool, err error) {
	err = r.read(ctx, func(c *conn) error {
		q, err := c.stmt("SELECT " + apiKeyColumns + " FROM api_keys WHERE hash = ? AND revoked_at IS NULL")
		if err != nil {
			return err
		}
		q.blob(h[:])
		if !q.next(&err) {
			return err
		}
		defer q.reset()
		k, err = q.columnAPIKey()
		ok = err == nil && k.Hash.Equal(h)
		return err
	})
	return k, ok, wrap("credential", err)
}

func (s *stmt) columnAPIKey() (access.Key, error) {
	k := access.Key{
		ID: s.columnText(0), Tenant: s.columnText(1), Role: access.Role(s.columnText(2)),
		CreatedAt: s.columnTime(4), RevokedAt: s.columnTime(5),
	}
	if n := copy(k.Hash[:], s.view(3)); n != len(k.Hash) {
		return access.Key{}, fmt.Errorf("sqlite: the hash of API key %s has %d bytes", k.ID, n)
	}
	return k, nil
}
