package once_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/oncepay/oncepay/once"
)

var (
	older = once.Secret{ID: "2025", Key: []byte("0123456789abcdef0123456789abcdef")}
	newer = once.Secret{ID: "2026", Key: []byte("fedcba9876543210fedcba9876543210")}
)

func encrypting(all ...once.Secret) func(*once.Config) {
	return func(c *once.Config) { c.Encrypt = all }
}

// What is kept is encrypted, can be read for as long as its secret is there, and
// under its own key only.
func TestWhatIsKeptIsEncrypted(t *testing.T) {
	store := once.NewMemory()
	key := once.Key{Tenant: "default", ID: "order-42"}
	n := newNode(t, store, once.Park, encrypting(older))
	n.Do(t.Context(), key.ID, 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
		once.Step(ctx, a, "one", func(context.Context) (string, error) { return "SENSITIVE", nil })
		seen, _ := store.Load(t.Context(), key)
		if p := seen.Record.Progress; len(p) == 0 || bytes.Contains(p, []byte("SENSITIVE")) {
			t.Errorf("the recovery point is kept as %q", p)
		}
		return receipt{"SENSITIVE", 1}, nil
	})
	seen, _ := store.Load(t.Context(), key)
	if a := seen.Record.Answer; a.Seal != "2025" || len(a.Header) > 0 || bytes.Contains(a.Body, []byte("SENSITIVE")) {
		t.Errorf("the answer is kept as %+v", a)
	}
	for name, row := range map[string]struct {
		secrets []once.Secret
		want    error
	}{
		"with the same secret":              {[]once.Secret{older}, nil},
		"with a newer one before it":        {[]once.Secret{newer, older}, nil},
		"with the newer one only":           {[]once.Secret{newer}, once.ErrSealed},
		"with none":                         {nil, once.ErrSealed},
		"with another one of the same name": {[]once.Secret{{ID: "2025", Key: newer.Key}}, once.ErrSealed},
		"with the same one by another name": {[]once.Secret{{ID: "2027", Key: older.Key}}, once.ErrSealed},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, store, once.Park, encrypting(row.secrets...))
			r, err := n.charge(t.Context(), key.ID, 1)
			if !errors.Is(err, row.want) || row.want == nil && r.Charge != "SENSITIVE" || n.runs.Load() != 0 {
				t.Errorf("got %+v %v", r, err)
			}
		})
	}
	moved := seen.Record
	moved.Key.ID, moved.Version = "order-43", 1
	if _, err := store.Swap(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if _, err := newNode(t, store, once.Park, encrypting(older)).charge(t.Context(), "order-43", 1); !errors.Is(err, once.ErrSealed) {
		t.Errorf("under another key it is read: %v", err)
	}
}

// Header lines that are no UTF-8 come out of an encrypted answer as they went in.
func TestASealedHeaderNeedNotBeUTF8(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Park, encrypting(older))
	key := once.Key{Tenant: "default", ID: "k"}
	turn, err := n.Engine.Begin(t.Context(), once.Request{Key: key}, once.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	want := []once.Field{{Name: "City", Value: "Orl\xe9ans"}, {Name: "Empty"}, {Name: "Town", Value: "Zürich"}}
	if err := turn.Attempt.Complete(t.Context(), once.Answer{Status: 200, Header: want}); err != nil {
		t.Fatal(err)
	}
	if r, err := n.Engine.Find(t.Context(), key); err != nil || !slices.Equal(r.Answer.Header, want) {
		t.Errorf("it is given again as %q %v", r.Answer.Header, err)
	}
}

// Two answers that are equal look different.
func TestNoTwoSealedTextsAreEqual(t *testing.T) {
	store := once.NewMemory()
	n := newNode(t, store, once.Park, encrypting(older))
	kept := map[string]bool{}
	for _, id := range []string{"a", "b"} {
		n.runs.Store(0)
		n.charge(t.Context(), id, 1)
		seen, _ := store.Load(t.Context(), once.Key{Tenant: "default", ID: id})
		kept[string(seen.Record.Answer.Body)] = true
	}
	if len(kept) != 2 {
		t.Error("they are equal")
	}
}

// Encryption may be turned on while operations are unfinished: they go on at the recovery
// points that were kept before.
func TestEncryptionIsTurnedOnBetweenTwoAttempts(t *testing.T) {
	store := once.NewMemory()
	before, after := newNode(t, store, once.Resume), newNode(t, store, once.Resume, encrypting(newer))
	order := func(n *node, fails error) (receipt, error) {
		return n.Do(t.Context(), "order-42", 1, func(ctx context.Context, a *once.Attempt) (receipt, error) {
			by, err := once.Step(ctx, a, "reserve", func(context.Context) (int64, error) { return a.Token(), nil })
			if err == nil {
				_, err = once.Step(ctx, a, "pack", func(context.Context) (int64, error) { return 0, fails })
			}
			return receipt{Amount: by}, err
		})
	}
	if _, err := order(before, errDead); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if r, err := order(after, nil); err != nil || r.Amount != 1 {
		t.Errorf("got %+v %v: it was reserved by the first", r, err)
	}
}

// Where keys are hashed, none is stored, and everything goes on as before.
func TestKeysAreStoredHashed(t *testing.T) {
	store := once.NewMemory()
	n := newNode(t, store, once.Park, func(c *once.Config) { c.HashKeys = true })
	for range 2 {
		if r, err := n.charge(t.Context(), "alice@example.com", 1); err != nil || r.Charge != "ch_1" {
			t.Fatalf("got %+v %v", r, err)
		}
	}
	key := once.Key{Tenant: "default", ID: "alice@example.com"}
	if seen, _ := store.Load(t.Context(), key); seen.Record.State != once.Absent {
		t.Errorf("it is stored as it is: %+v", seen.Record)
	}
	if r, err := n.Engine.Find(t.Context(), key); err != nil || r.State != once.Done || r.Key.ID == key.ID {
		t.Errorf("found %+v %v", r, err)
	}
}

// An operator knows a hashed key by its hash alone, and settles it by that.
func TestAHashedKeyIsSettledAsItIsListed(t *testing.T) {
	n := newNode(t, once.NewMemory(), once.Park, func(c *once.Config) { c.HashKeys = true })
	key := once.Key{Tenant: "default", ID: "alice@example.com"}
	turn, err := n.Engine.Begin(t.Context(), once.Request{Key: key}, once.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	turn.Attempt.Doubt(t.Context(), errors.New("nobody knows"))
	found, _, err := n.Engine.Unfinished(t.Context(), "", 10)
	if err != nil || len(found) != 1 || found[0].Key.ID == key.ID {
		t.Fatalf("listed are %+v %v", found, err)
	}
	if r, err := n.Engine.Find(t.Context(), found[0].Key); err != nil || r.State != once.Unknown {
		t.Errorf("found %+v %v", r, err)
	}
	if _, err := n.Engine.Settle(t.Context(), found[0].Key, once.Settlement{Evidence: "the till's roll", Actor: "ann"}); err != nil {
		t.Errorf("it is not settled: %v", err)
	}
	if r, err := n.Engine.Find(t.Context(), key); err != nil || r.State != once.Released {
		t.Errorf("then it is %+v %v", r, err)
	}
}

func TestDerivedKeys(t *testing.T) {
	all := map[string]bool{}
	for _, parts := range [][]string{{}, {""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {"a\x00b"}} {
		k := once.Derive(parts...)
		if err := once.CheckID(k); err != nil || k != once.Derive(parts...) {
			t.Errorf("%q gives %s: %v", parts, k, err)
		}
		all[k] = true
	}
	if len(all) != 8 {
		t.Errorf("8 requests have %d keys", len(all))
	}
}
