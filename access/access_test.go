package access_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/access"
)

func TestRoles(t *testing.T) {
	for text, want := range map[string]access.Role{"full": access.Full, "read": access.Read} {
		if got, err := access.ParseRole(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Full", "READ", "full ", "admin", "full,read"} {
		if got, err := access.ParseRole(text); got != "" || err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func TestTenants(t *testing.T) {
	for name, row := range map[string]struct {
		tenant string
		fits   bool
	}{
		"letters of both cases and digits":     {"Shop42", true},
		"a dot, a dash and an underscore":      {"shop-1.eu_west", true},
		"one character":                        {"a", true},
		"as many characters as allowed":        {strings.Repeat("a", access.MaxTenantLen), true},
		"one more than that":                   {strings.Repeat("a", access.MaxTenantLen+1), false},
		"nothing":                              {"", false},
		"a space":                              {"my shop", false},
		"a slash":                              {"a/b", false},
		"a colon":                              {"a:b", false},
		"a letter that is not of ASCII":        {"caf\u00e9", false},
		"a letter that looks like one that is": {"sh\u043ep", false},
		"a byte that is no UTF-8":              {"a\xff", false},
		"a NUL":                                {"a\x00", false},
		"a line feed":                          {"a\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := access.CheckTenant(row.tenant); (err == nil) != row.fits {
				t.Errorf("%q: %v", row.tenant, err)
			}
		})
	}
}

// A secret is the prefix and 256 bits, none of which is the same every time: of
// a thousand secrets each bit is set in about half of them.
func TestSecrets(t *testing.T) {
	const n = 1000
	seen := map[string]bool{}
	var set [256]int
	for range n {
		secret := access.NewSecret()
		text, ok := strings.CutPrefix(secret, "sk_")
		b, err := base64.RawURLEncoding.DecodeString(text)
		if !ok || err != nil || len(b) != 32 {
			t.Fatalf("%q is not sk_ and 32 bytes: %v", secret, err)
		}
		if seen[secret] {
			t.Fatalf("%q was made twice", secret)
		}
		seen[secret] = true
		for i := range set {
			set[i] += int(b[i/8]>>(i%8)) & 1
		}
	}
	for i, count := range set {
		if count < n/3 || count > n*2/3 { // more than ten standard deviations off
			t.Errorf("bit %d is set in %d of %d secrets", i, count, n)
		}
	}
}

// Hashes that differ in any one bit are not equal.
func TestHashesAreCompared(t *testing.T) {
	h := access.HashKey("sk_1")
	if !h.Equal(access.HashKey("sk_1")) {
		t.Error("a key has two hashes")
	}
	if h.Equal(access.HashKey("sk_2")) || h.Equal(access.Hash{}) {
		t.Error("different keys have one hash")
	}
	for i := range len(h) * 8 {
		g := h
		g[i/8] ^= 1 << (i % 8)
		if h.Equal(g) {
			t.Errorf("bit %d makes no difference", i)
		}
	}
}

// SHA-256 of "abc": FIPS 180-2, appendix B.1. Stores keep hashes for good, so
// they may never become others.
func TestHashesAreSHA256(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := fmt.Sprintf("%x", access.HashKey("abc")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A secret is shown once; what is kept of it is enough to know it again.
func Example() {
	secret := access.NewSecret()
	kept := access.Key{ID: "ak_1", Tenant: "shop", Role: access.Full, Hash: access.HashKey(secret)}

	fmt.Println(kept.Hash.Equal(access.HashKey(secret)))
	fmt.Println(kept.Hash.Equal(access.HashKey(access.NewSecret())))
	// Output:
	// true
	// false
}
