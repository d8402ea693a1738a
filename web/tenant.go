package web

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/oncepay/oncepay/once"
)

// tenant is what is kept of a tenant between requests.
type tenant struct {
	id      string
	hashers sync.Pool     // of *once.Hasher: making one derives a key
	bucket  *rate.Limiter // nil: no limit
	allowed string        // RateLimit-Policy, if there is one
	bodies  room          // its part of the room for bodies
}

// name is the tenant's name, "" for nobody.
func (t *tenant) name() string {
	if t == nil {
		return ""
	}
	return t.id
}

// fingerprint is that of a request of the tenant.
func (t *tenant) fingerprint(method, path string, canonical []byte) once.Fingerprint {
	h := t.hashers.Get().(*once.Hasher)
	defer t.hashers.Put(h)
	return h.Request(method, path, canonical)
}

// tenants makes tenants when they are met first.
type tenants struct {
	secret []byte
	rate   rate.Limit
	burst  int

	mu sync.Mutex
	by map[string]*tenant
}

// maxTenants bounds what is kept. Over it somebody else is forgotten, and starts
// with a full bucket when they are back.
const maxTenants = 10_000

func (ts *tenants) get(name string) *tenant {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t, ok := ts.by[name]; ok {
		return t
	}
	if len(ts.by) >= maxTenants {
		ts.forgetOne()
	}
	t := &tenant{id: name, bodies: room{size: MaxTenantBodies}}
	t.hashers.New = func() any { return once.NewHasher(ts.secret, name) }
	if ts.rate > 0 {
		t.bucket, t.allowed = rate.NewLimiter(ts.rate, ts.burst), policy(ts.rate, ts.burst)
	}
	ts.by[name] = t
	return t
}

// forgetOne forgets a tenant, one with a full bucket if a few tries find one:
// that one loses nothing.
func (ts *tenants) forgetOne() {
	var victim string
	tries := 0
	for name, t := range ts.by { // in random order
		victim = name
		if tries++; tries == 20 || t.bucket == nil || t.bucket.Tokens() >= float64(ts.burst) {
			break
		}
	}
	delete(ts.by, victim)
}

// take takes a request's place in the tenant's rate, and reports whether there
// was one.
func (t *tenant) take() bool { return t.bucket == nil || t.bucket.Allow() }

// soon is in how many seconds there is a place again.
func (t *tenant) soon() string {
	missing := 1 - t.bucket.TokensAt(time.Now())
	return strconv.Itoa(int(max(1, math.Ceil(missing/float64(t.bucket.Limit())))))
}

// overRate is the answer to a request over its tenant's rate.
func (x *exchange) overRate() once.Answer {
	a := rateLimited.find().answer(x.id, "Your tenant sends more than its rate allows. Nothing began; send the same request again a little later.", nil)
	a.Header = []once.Field{problemHeader[0], {Name: "Retry-After", Value: x.caller.tenant.soon()}}
	return a
}

// policy describes a rate as draft-ietf-httpapi-ratelimit-headers does: a
// bucket of burst requests that is full again after so many seconds.
func policy(r rate.Limit, burst int) string {
	window := max(1, math.Ceil(float64(burst)/float64(r)))
	return `"tenant";q=` + strconv.Itoa(burst) + `;w=` + strconv.Itoa(int(window))
}

// showRate tells how much of its rate the tenant has left.
func (x *exchange) showRate() {
	t := x.caller.tenant
	if t == nil || t.bucket == nil {
		return
	}
	left := max(0, t.bucket.TokensAt(time.Now()))
	full := math.Ceil((float64(t.bucket.Burst()) - left) / float64(t.bucket.Limit()))
	x.set("Ratelimit-Policy", t.allowed)
	x.set("Ratelimit", `"tenant";r=`+strconv.Itoa(int(left))+`;t=`+strconv.Itoa(int(full)))
}
