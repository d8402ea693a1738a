package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/store/sqlite"
)

func TestAPIKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	s := open(t, path)
	at := time.Now().UTC().Truncate(time.Microsecond)
	full := access.Key{ID: "ak_1", Tenant: "acme", Role: access.Full, Hash: access.HashKey("sk_1"), CreatedAt: at}
	read := access.Key{ID: "ak_2", Tenant: "other", Role: access.Read, Hash: access.HashKey("sk_2"), CreatedAt: at.Add(1)}
	for _, k := range []access.Key{full, read} {
		k.CreatedAt = k.CreatedAt.Truncate(time.Microsecond)
		if err := s.CreateAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	read.CreatedAt = at

	t.Run("a key is found by its hash", func(t *testing.T) {
		k, ok, err := s.Credential(t.Context(), full.Hash)
		same(t, "credential", k, full, err, nil)
		if !ok {
			t.Error("it is not valid")
		}
	})
	t.Run("another hash finds nothing", func(t *testing.T) {
		if k, ok, err := s.Credential(t.Context(), access.HashKey("sk_3")); ok || err != nil || k != (access.Key{}) {
			t.Error(k, ok, err)
		}
	})
	t.Run("an id or a hash is there once", func(t *testing.T) {
		for _, k := range []access.Key{{ID: "ak_1", Hash: access.HashKey("sk_9")}, {ID: "ak_9", Hash: full.Hash}} {
			if err := s.CreateAPIKey(t.Context(), k); err == nil {
				t.Errorf("%s was made", k.ID)
			}
		}
	})
	t.Run("a revoked key is no credential, and stays in the list", func(t *testing.T) {
		for range 2 {
			if found, err := s.RevokeAPIKey(t.Context(), "ak_1"); !found || err != nil {
				t.Error(found, err)
			}
		}
		if _, ok, err := s.Credential(t.Context(), full.Hash); ok || err != nil {
			t.Error(ok, err)
		}
		if found, err := s.RevokeAPIKey(t.Context(), "ak_9"); found || err != nil {
			t.Error("a key that is not there was revoked", err)
		}
		checkRevoked(t, s, read)
	})
	mustClose(t, s)
	checkRevoked(t, open(t, path), read)
}

func checkRevoked(t *testing.T, s *sqlite.Store, other access.Key) {
	t.Helper()
	keys, err := s.APIKeys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	if keys[0] != other || keys[1].ID != "ak_1" || time.Since(keys[1].RevokedAt) > time.Minute {
		t.Errorf("keys: %+v", keys)
	}
}
