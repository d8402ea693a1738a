package once_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/once"
)

// The vectors were computed apart from this code (Python's hmac), so that a
// later version cannot change the scheme without being noticed: fingerprints
// outlive the program that made them.
func TestFingerprintVectors(t *testing.T) {
	for _, row := range []struct{ secret, tenant, method, path, body, want string }{
		{"0123456789abcdef0123456789abcdef", "acme", "POST", "/v1/transfers", `{"amount":1}`, "cadd0ac5e3f064e72af82701d6b45c9a4000cb8c3195a1b9fed86547fceb2299"},
		{"0123456789abcdef0123456789abcdef", "acme", "POST", "/v1/transfers", "{}", "a39a74a659a7cd517a1c3556f6b06e55e09da83ff37e3f8e7d86e0f37cd763d2"},
		{"0123456789abcdef0123456789abcdef", "umbrella", "POST", "/v1/transfers", "{}", "7dc69d0e26eaf976c5878acaa6a2110c9b75240ea2444e34a3aa7a2bfc421ecc"},
		{"", "", "", "", "", "ca7244a3595bffd94d317f251f3188f781b8905060ed5cbf2fc0f1fe12b62ad2"},
	} {
		f := once.NewHasher([]byte(row.secret), row.tenant).Request(row.method, row.path, []byte(row.body))
		if got := hex.EncodeToString(f.Sum[:]); got != row.want || f.Scheme != once.SchemeV1 {
			t.Errorf("%s %s %s of %q: scheme %d, %s; want scheme 1, %s", row.method, row.path, row.body, row.tenant, f.Scheme, got, row.want)
		}
	}
}

// request is all that a fingerprint is made from.
type request struct{ secret, tenant, method, path, body string }

func (r request) fingerprint() once.Fingerprint {
	return once.NewHasher([]byte(r.secret), r.tenant).Request(r.method, r.path, []byte(r.body))
}

// Short parts over a tiny alphabet, so that the same bytes are often cut at
// other places: ("ab", "c") and ("a", "bc") are different requests.
func anyRequest(t *rapid.T, label string) request {
	part := rapid.StringOfN(rapid.RuneFrom([]rune("ab/\x00")), 0, 3, -1)
	return request{
		"secret", part.Draw(t, label+" tenant"), part.Draw(t, label+" method"),
		part.Draw(t, label+" path"), part.Draw(t, label+" body"),
	}
}

func TestFingerprintsAreEqualExactlyIfTheRequestsAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyRequest(t, "one"), anyRequest(t, "other")
		if got, want := a.fingerprint().Equal(b.fingerprint()), a == b; got != want {
			t.Fatalf("%+q and %+q: equal %v, want %v", a, b, got, want)
		}
		if !a.fingerprint().Equal(a.fingerprint()) {
			t.Fatalf("%+q is not equal to itself", a)
		}
	})
}

func TestTheSameBytesCutElsewhereAreAnotherRequest(t *testing.T) {
	base := request{"secret", "t", "POST", "/v1/ab", "c"}
	for _, other := range []request{
		{"secret", "t", "POST", "/v1/a", "bc"},
		{"secret", "t", "POST/", "v1/ab", "c"},
		{"secret", "tP", "OST", "/v1/ab", "c"},
		{"secre", "tt", "POST", "/v1/ab", "c"},
	} {
		if base.fingerprint().Equal(other.fingerprint()) {
			t.Errorf("%+q has the fingerprint of %+q", other, base)
		}
	}
}

func TestAHasherForgetsTheRequestBefore(t *testing.T) {
	h := once.NewHasher([]byte("secret"), "acme")
	first := h.Request("POST", "/v1/transfers", []byte("a"))
	h.Request("POST", "/v1/accounts", []byte("b"))
	if again := h.Request("POST", "/v1/transfers", []byte("a")); !again.Equal(first) {
		t.Error("the same request has another fingerprint later")
	}
}

func TestAnotherSchemeIsNeverEqual(t *testing.T) {
	f := fingerprint("x")
	g := f
	g.Scheme++
	if f.Equal(g) {
		t.Error("fingerprints of different schemes are equal")
	}
	if (once.Fingerprint{}).Equal(f) {
		t.Error("no fingerprint is equal to one")
	}
}

// Nobody without the secret can tell whether a fingerprint is that of a guess.
func TestAFingerprintIsKeyed(t *testing.T) {
	f := request{"secret", "t", "POST", "/", "1234"}.fingerprint()
	if f.Equal(request{"other", "t", "POST", "/", "1234"}.fingerprint()) {
		t.Error("the secret does not count")
	}
	mac := hmac.New(sha256.New, []byte("t"))
	mac.Write([]byte("1234"))
	if hmac.Equal(mac.Sum(nil), f.Sum[:]) {
		t.Error("the tenant's name is the key")
	}
}
