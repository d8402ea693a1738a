package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// sum is a sum of digests, modulo 2^128.
type sum struct{ hi, lo uint64 }

func (s *sum) add(d sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, d.lo, 0)
	s.hi, _ = bits.Add64(s.hi, d.hi, carry)
}

// times is n times d, modulo 2^128.
func (d sum) times(n int64) sum {
	hi, lo := bits.Mul64(d.lo, uint64(n))
	if hi += d.hi * uint64(n); n < 0 { // uint64(n) is 2^64 too many
		hi -= d.lo
	}
	return sum{hi, lo}
}

// sums are the sums of each family: what they add up to is zero if the tables
// agree.
type sums [families]sum

func (s *sums) take(t *term, digest sum) { s[t.family].add(digest.times(t.n)) }

// sketch sums up the terms of all resources, many in one bucket.
type sketch struct {
	key     [32]byte
	buckets []sums
	buf     []byte
}

func newSketch(buckets int) *sketch {
	s := &sketch{buckets: make([]sums, buckets)}
	rand.Read(s.key[:]) // never fails: crypto/rand ends the program instead
	return s
}

func (s *sketch) add(t *term) {
	s.buckets[s.place(&t.about)].take(t, s.digest(&t.fact))
}

// place says which bucket a resource is in.
func (s *sketch) place(about *subject) int {
	d := s.digest(&fact{what: about.kind, words: [5]string{about.Tenant, about.ID}})
	return int(d.lo % uint64(len(s.buckets)))
}

// digest stands for a fact: 128 bits that only the same fact has.
func (s *sketch) digest(f *fact) sum {
	b := append(s.buf[:0], s.key[:]...)
	b = append(append(b, byte(len(f.what))), f.what...)
	for _, w := range f.words {
		b = append(binary.AppendUvarint(b, uint64(len(w))), w...)
	}
	for _, n := range f.numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	s.buf = b
	h := sha256.Sum256(b)
	return sum{hi: binary.BigEndian.Uint64(h[:]), lo: binary.BigEndian.Uint64(h[8:])}
}

// bad returns which buckets do not add up.
func (s *sketch) bad() []int {
	var bad []int
	for i := range s.buckets {
		if s.buckets[i] != (sums{}) {
			bad = append(bad, i)
		}
	}
	return bad
}
