package audit

import (
	"maps"
	"slices"
	"strings"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// maxClaims is how many resources that keys of payments name are held at most,
// of keys whose work is unfinished and of others: some 10 MB each.
const maxClaims = 50_000

// claims are the keys of payments, held until the payment or the refund that they
// name is met.
type claims struct {
	open sample // of keys whose work is unfinished
	done sample
}

func newClaims(s *sketch) claims {
	digest := func(r ledger.Ref) uint64 { return s.digest(&fact{what: "claim", words: [5]string{r.Tenant, r.ID}}).lo }
	return claims{
		open: sample{digest: digest, most: maxClaims, keys: map[ledger.Ref][]string{}},
		done: sample{digest: digest, most: maxClaims, keys: map[ledger.Ref][]string{}},
	}
}

func unfinished(r *once.Record) bool { return r.State == once.Claimed || r.State == once.Unknown }

func (c *claims) key(r *once.Record) {
	resource := ledger.Ref{Tenant: r.Key.Tenant, ID: r.Resource}
	switch {
	case unfinished(r):
		c.open.add(resource, r.Key.ID)
	case r.Resource != "":
		c.done.add(resource, r.Key.ID)
	}
}

// payment takes the keys away that name a payment or one of its refunds. It finds
// the operations whose answer nobody waits for any more, and the keys that wait for
// an answer that nothing will bring.
func (c *claims) payment(p *pay.Payment, found func(Kind, string, string, string, ...any)) {
	resources := []ledger.Ref{p.Ref}
	answered := map[string]bool{}
	for _, o := range p.Operations {
		resource := p.Ref
		if o.Kind == pay.Refund {
			resource.ID = o.ID
			resources = append(resources, resource)
		}
		for _, key := range strings.Fields(o.Key + " " + o.Followers) {
			answered[key] = true
			if c.open.holds(resource) && !slices.Contains(c.open.keys[resource], key) {
				found(Key, p.Tenant, key, "operation %s of payment %s is to answer it, and it does not wait for that", o.ID, p.ID)
			}
		}
	}
	for _, r := range resources {
		for _, key := range c.open.keys[r] {
			if !answered[key] {
				found(Key, p.Tenant, key, "it waits for %s, and nothing of that is to answer it", r.ID)
			}
		}
		c.met(r)
	}
}

func (c *claims) met(r ledger.Ref) {
	delete(c.open.keys, r)
	delete(c.done.keys, r)
}

// compareClaims finds the keys that name nothing that is there.
func (a *auditor) compareClaims() {
	for _, s := range []*sample{&a.claims.open, &a.claims.done} {
		for _, r := range slices.SortedFunc(maps.Keys(s.keys), compareRefs) {
			for _, key := range s.keys[r] {
				a.found(Key, r.Tenant, key, "there is no payment or refund %q, which it names", r.ID)
			}
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(a.openers), compareRefs) {
		_, known := a.chains.places[r]
		if n := a.openers[r]; !known || n > 1 {
			a.found(Key, r.Tenant, r.ID, "%d keys say that they opened the account, and it is there: %v", n, known)
		}
	}
}

func compareRefs(a, b ledger.Ref) int { return compareSubjects(subject{Ref: a}, subject{Ref: b}) }

// sample holds keys by the resource that they name: all of them while they are
// few, and then those of some resources, chosen by chance, all keys of each.
type sample struct {
	digest func(ledger.Ref) uint64
	most   int
	keys   map[ledger.Ref][]string
	mask   uint64 // resources whose digest has none of these bits are held
}

// maxOfOne is how many keys of a resource are held: no more wait for one, and of
// others more are as good as none.
const maxOfOne = 1 + pay.MaxFollowers

func (s *sample) holds(r ledger.Ref) bool { return s.digest(r)&s.mask == 0 }

func (s *sample) add(r ledger.Ref, key string) {
	if !s.holds(r) || len(s.keys[r]) >= maxOfOne {
		return
	}
	s.keys[r] = append(s.keys[r], key)
	for len(s.keys) > s.most {
		s.mask = s.mask<<1 | 1
		maps.DeleteFunc(s.keys, func(r ledger.Ref, _ []string) bool { return !s.holds(r) })
	}
}
