package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/access"
)

const apiKeyColumns = "id, tenant, role, hash, created_at, revoked_at"

// CreateAPIKey keeps what is kept of an API key. It fails if there is one with this id or
// hash.
func (s *Store) CreateAPIKey(ctx context.Context, k access.Key) error {
	var revoked *int64
	if !k.RevokedAt.IsZero() {
		revoked = new(micros(k.RevokedAt))
	}
	_, err := s.desk.Exec(ctx, "INSERT INTO api_keys ("+apiKeyColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
		writeText(k.ID), writeText(k.Tenant), string(k.Role), k.Hash[:], micros(k.CreatedAt), revoked)
	if err != nil {
		return fmt.Errorf("postgres: create an API key: %w", hide(err))
	}
	return nil
}

// RevokeAPIKey makes a key invalid from now on. It says whether there is such a key; one that
// is revoked already stays as it is.
func (s *Store) RevokeAPIKey(ctx context.Context, id string) (found bool, err error) {
	tag, err := s.desk.Exec(ctx, "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1", writeText(id), micros(time.Now()))
	if err != nil {
		return false, fmt.Errorf("postgres: revoke an API key: %w", hide(err))
	}
	return tag.RowsAffected() > 0, nil
}

// APIKeys returns all keys, revoked ones included, the newest first.
func (p *pool) APIKeys(ctx context.Context) (keys []access.Key, err error) {
	err = p.query(ctx, "SELECT "+apiKeyColumns+" FROM api_keys ORDER BY created_at DESC, id DESC", nil, func(r *row) { keys = append(keys, r.apiKey()) })
	return keys, wrap("API keys", err)
}

// Credential returns the key with this hash, and whether it is valid: there is one, and it is
// not revoked.
func (p *pool) Credential(ctx context.Context, h access.Hash) (k access.Key, ok bool, err error) {
	k, ok, err = queryOne(ctx, p, "SELECT "+apiKeyColumns+" FROM api_keys WHERE hash = $1 AND revoked_at IS NULL", []any{h[:]}, (*row).apiKey)
	return k, ok && k.Hash.Equal(h), wrap("credential", err)
}

func (r *row) apiKey() (k access.Key) {
	k.ID, k.Tenant, k.Role = r.text(), r.text(), access.Role(r.text())
	hash := r.bytes()
	if n := copy(k.Hash[:], hash); n != len(k.Hash) {
		r.fail("the hash of API key %s has %d bytes", k.ID, n)
	}
	k.CreatedAt, k.RevokedAt = r.time(), r.time()
	return k
}
