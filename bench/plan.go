package bench

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// class is what kind of request one is; figures are kept for each.
type class int

const (
	fresh class = iota
	duplicate
	hot
	batch
	storm
	raw
	classes // their number
)

func (c class) String() string {
	return [classes]string{"fresh", "duplicate", "hot", "batch", "storm", "raw"}[c]
}

// primed is how many transfers are made before the clock starts when the mix
// has duplicates, so that the first of them has something to repeat.
const primed = 1_000

// A plan says what the n-th request of a run is, from its seed and n alone:
// what was sent is recomputed when the audit asks, never remembered. A
// transfer's index is n*stride plus its place in the batch.
type plan struct {
	seed     uint64 // chooses classes, accounts and amounts
	run      uint64 // makes keys and names those of this run
	began    time.Time
	mix      Mix
	only     class // of every request, if not fresh
	primed   uint64
	stride   uint64
	accounts uint64
	random   bool
}

func newPlan(cfg Config, run uint64, began time.Time) *plan {
	p := &plan{seed: cfg.Seed, run: run, began: began, mix: cfg.Mix, stride: 1,
		accounts: uint64(cfg.Accounts), random: cfg.Keys == Random}
	switch {
	case cfg.Scenario == Storm:
		p.only, p.accounts = storm, 2
	case cfg.Scenario == Raw:
		p.only = raw
	case cfg.Mix.Batch > 0:
		p.stride = uint64(cfg.BatchSize)
	}
	if p.only == fresh && cfg.Mix.Duplicate > 0 {
		p.primed = primed
	}
	return p
}

// class returns the kind of request n.
func (p *plan) class(n uint64) class {
	share := int(scramble(p.seed^scramble(n)) % 100)
	switch m := p.mix; {
	case p.only != fresh:
		return p.only
	case n < p.primed || share < m.Fresh:
		return fresh
	case share < m.Fresh+m.Duplicate:
		return duplicate
	case share < m.Fresh+m.Duplicate+m.Hot:
		return hot
	default:
		return batch
	}
}

// batched reports whether the transfer at index was an item of a batch.
func (p *plan) batched(index uint64) bool { return p.class(index/p.stride) == batch }

// A transfer is one order to the server, without its key.
type transfer struct {
	from, to uint64 // the numbers of accounts of the run
	amount   int64  // minor units, 1 to 1,000
}

// transfer returns the transfer at index.
func (p *plan) transfer(index uint64) transfer {
	luck := scramble(p.seed + scramble(index))
	t := transfer{from: luck % p.accounts, amount: 1 + int64(luck>>44)%1_000}
	if p.class(index/p.stride) == hot {
		t.from = 0
	}
	t.to = (t.from + 1 + scramble(luck)%(p.accounts-1)) % p.accounts
	return t
}

// appendKey appends the idempotency key of the transfer at index, 36 bytes. The
// time in a UUIDv7 counts requests and not milliseconds, 256 to each, so that it
// can be recomputed and lies in the past at any rate a server can answer.
func (p *plan) appendKey(b []byte, index uint64) []byte {
	var u [16]byte
	high := scramble(p.run ^ scramble(index))
	binary.BigEndian.PutUint64(u[:8], high)
	binary.BigEndian.PutUint64(u[8:], scramble(high))
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	if !p.random {
		at := uint64(p.began.UnixMilli()) + index/p.stride>>8
		binary.BigEndian.PutUint64(u[:8], at<<16|0x7000|high&0x0fff)
	}
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, u[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return b
}

// appendAccount appends the id of the run's account number n.
func (p *plan) appendAccount(b []byte, n uint64) []byte {
	b = append(b, "bench-"...)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[p.run>>shift&15])
	}
	return strconv.AppendUint(append(b, '-'), n, 10)
}

// appendBody appends the JSON of the transfer at index.
func (p *plan) appendBody(b []byte, index uint64) []byte {
	return p.appendMembers(append(b, '{'), index)
}

// appendItem appends the JSON of the transfer at index as an item of a batch.
func (p *plan) appendItem(b []byte, index uint64) []byte {
	b = p.appendKey(append(b, `{"idempotency_key":"`...), index)
	return p.appendMembers(append(b, `",`...), index)
}

func (p *plan) appendMembers(b []byte, index uint64) []byte {
	t := p.transfer(index)
	b = p.appendAccount(append(b, `"from":"`...), t.from)
	b = p.appendAccount(append(b, `","to":"`...), t.to)
	b = strconv.AppendInt(append(b, `","amount":`...), t.amount, 10)
	return append(b, `,"currency":"EUR"}`...)
}

// scramble is the finalizer of SplitMix64: a bijection whose output passes for
// luck.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
