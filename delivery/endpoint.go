package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/webhook"
)

// Endpoint is where a tenant wants events sent.
type Endpoint struct {
	ID          string // "we_…"
	Tenant      string
	URL         string
	Description string
	Types       []string  // of events: "payment.succeeded", or "payment.*"; none: all
	Disabled    Reason    // why nothing is sent; "": it is enabled
	Generation  int64     // of its secret: 1 is the first
	FormerUntil time.Time // the secret before it is valid until then; zero: it is not
	FailingFrom time.Time // since when nothing was taken; zero: the last attempt was
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Version     int64 // how often it was written
}

// Reason is why an endpoint is disabled.
type Reason string

// The reasons, as they are told.
const (
	Asked   Reason = "asked"   // its owner wanted it
	Gone    Reason = "gone"    // it answered with 410
	Failing Reason = "failing" // it took nothing for FailingAfter
)

// What a tenant may have.
const (
	// MaxEndpoints is how many endpoints a tenant may have: each event is so many rows at
	// most.
	MaxEndpoints = 20

	// MaxTypes is how many types an endpoint may name: more than there are.
	MaxTypes = 64

	// MaxDescription is how long a description may be, in characters.
	MaxDescription = 200

	// MaxOverlap is how long a former secret may stay valid, by which all receivers should
	// know the new one.
	MaxOverlap = 7 * 24 * time.Hour
)

// early is how much older than an endpoint events may be that it is told of: clocks of servers
// are not the same.
const early = 10 * time.Second

// Wants says whether an event is to be delivered to the endpoint.
func (e *Endpoint) Wants(o outbox.Event) bool {
	if e.Disabled != "" || o.Tenant != e.Tenant || o.At.Before(e.CreatedAt.Add(-early)) {
		return false
	}
	return len(e.Types) == 0 || slices.ContainsFunc(e.Types, func(t string) bool { return typeMatches(t, o.Type) })
}

func typeMatches(wanted, typ string) bool {
	if resource, found := strings.CutSuffix(wanted, "*"); found {
		return strings.HasPrefix(typ, resource)
	}
	return wanted == typ
}

// IsType says whether there are events of a type, or of a group such as "payment.*".
func IsType(wanted string) bool {
	if group, found := strings.CutSuffix(wanted, ".*"); wanted == "*" || found && (group == "" || strings.Contains(group, "*")) {
		return false
	}
	return slices.ContainsFunc(outbox.Types(), func(t outbox.Type) bool { return typeMatches(wanted, t.Name) })
}

// Secrets makes the secrets of endpoints. They are not kept anywhere: each is made of the
// store's own secret and of whose it is, so that it can be told again, and is in no backup of
// answers and in no log of a database.
type Secrets struct{ root []byte }

// NewSecrets takes the secret of a store, 32 bytes.
func NewSecrets(store []byte) Secrets {
	mac := hmac.New(sha256.New, store)
	mac.Write([]byte("oncepay webhook endpoints v1"))
	return Secrets{mac.Sum(nil)}
}

// Of is the secret of an endpoint in one generation.
func (s Secrets) Of(tenant, endpoint string, generation int64) webhook.Secret {
	mac := hmac.New(sha256.New, s.root)
	for _, part := range []string{tenant, endpoint} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(generation)))
	return webhook.NewSecret([32]byte(mac.Sum(nil)))
}

// valid are the secrets that an attempt is signed with.
func (s Secrets) valid(w *Work) []webhook.Secret {
	all := []webhook.Secret{s.Of(w.Tenant, w.Endpoint, w.Generation)}
	if w.Former {
		all = append(all, s.Of(w.Tenant, w.Endpoint, w.Generation-1))
	}
	return all
}
