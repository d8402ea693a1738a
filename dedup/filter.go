package dedup

import (
	"encoding/binary"
	"math/bits"
)

// filter tells for 15.5 bits an id whether a segment may have it, and where. Segments
// are sorted by hash, so the place of a hash among n follows from its first bits but for
// a little; a filter keeps that little, and 14 bits more of each hash.
//
// A block is the hashes of one of n/64 equal ranges, in 16 buckets. Its head has how many
// hashes there are in each bucket, four bits each, and how many there are before the
// block. The rest is 14 bits of each hash, in the order of the segment. So a question
// looks at one head and at the bits of one bucket, and gets the rank of the record that
// it must read; asked for a hash that is not there, it gets one by mistake with
// 4/2¹⁴ = 0.00024.
//
// A filter is its own encoding, and is never changed after it was built.
type filter struct {
	blocks uint64
	heads  []byte // of all blocks, and of one more that only ends the last
	rest   []byte
}

const (
	perBlock  = 64
	buckets   = 16
	bucketMax = 15 // of four bits
	headSize  = 12 // counts 8, rank of the first 4
	restBits  = 14
	restMask  = 1<<restBits - 1
	perWord   = 4 // that fit 64 bits wherever in a byte they begin

	// crowded is the counts of a block with a bucket that has more than bucketMax: one
	// of 10,000 or so. Its hash may be anywhere in the block.
	crowded = 1<<64 - 1
)

func filterBlocks(n int) uint64 { return uint64(n+perBlock-1)/perBlock + 1 }

// filterSize is that of the encoding of a filter of n hashes.
func filterSize(n int) int {
	return int(filterBlocks(n)+1)*headSize + (n*restBits+7)/8 + beyond
}

// beyond the last hash there is something to read, wherever the counts of a crowded
// block lead to.
const beyond = 512

// openFilter reads what a builder for n hashes has built.
func openFilter(encoded []byte, n int) filter {
	blocks := filterBlocks(n)
	heads := int(blocks+1) * headSize
	return filter{blocks: blocks, heads: encoded[:heads], rest: encoded[heads:]}
}

func restOf(h hash) uint64 { return h.lo >> (64 - restBits) }

// ranks is what a filter says of a hash: the first and one after the last place at which
// it may be. They are equal if it is nowhere.
type ranks struct{ from, to uint32 }

// atATime is how many hashes are looked for together: their parts of the filter are
// loaded at the same time, and are near when they are compared.
const atATime = 64

// find says where hashes may be, of which there are atATime at most. Most are nowhere,
// and are told so without a branch that could go either way.
func (f *filter) find(hashes []hash, found *[atATime]ranks) (touched uint64) {
	heads, rest, blocks := f.heads, f.rest, f.blocks
	for _, h := range hashes {
		block, _ := bits.Mul64(h.hi, blocks)
		touched += uint64(heads[block*headSize])
	}
	hashes = hashes[:min(atATime, len(hashes))]
	for i, h := range hashes {
		block, within := bits.Mul64(h.hi, blocks)
		head := heads[block*headSize:][:headSize]
		counts, rank := binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint32(head[8:])
		bucket := uint(within >> 60)
		rank += sumBelow(counts, bucket)
		found[i] = ranks{rank, rank + uint32(counts>>(4*bucket)&0xf)}
		touched += uint64(rest[uint64(rank)*restBits>>3])
	}
	for i, h := range hashes {
		in, same := found[i], restOf(h)*lanes
		found[i] = ranks{}
		if anyZero(word(rest, in.from)^same)|anyZero(word(rest, in.from+perWord)^same) != 0 || in.to-in.from > 2*perWord {
			found[i] = f.among(f.widen(in, h), restOf(h))
		}
	}
	return touched
}

// within says whether all that find can tell is below n.
func (f *filter) within(n int) bool {
	for block := range f.blocks {
		counts, rank := binary.LittleEndian.Uint64(f.heads[block*headSize:]), f.rank(block)
		end := f.rank(block + 1)
		if rank > end || counts != crowded && uint64(end-rank) != uint64(sumBelow(counts, buckets-1))+counts>>60 {
			return false
		}
	}
	return f.rank(0) == 0 && f.rank(f.blocks) == uint32(n)
}

// lanes repeats bits of a hash for each that there are in a word.
const (
	lanes = 1 | 1<<restBits | 1<<(2*restBits) | 1<<(3*restBits)
	highs = lanes << (restBits - 1)
)

// anyZero is zero if no lane of a word is.
func anyZero(word uint64) uint64 { return (word - lanes) & ^word & highs }

// widen makes a bucket the whole block, if that is crowded.
func (f *filter) widen(in ranks, h hash) ranks {
	block, _ := bits.Mul64(h.hi, f.blocks)
	if binary.LittleEndian.Uint64(f.heads[block*headSize:]) != crowded {
		return in
	}
	return ranks{f.rank(block), f.rank(block + 1)}
}

// rank is that of the first hash of a block.
func (f *filter) rank(block uint64) uint32 {
	return binary.LittleEndian.Uint32(f.heads[block*headSize+8:])
}

// sumBelow is how many hashes there are in the buckets before one.
func sumBelow(counts uint64, bucket uint) uint32 {
	const low = 0x0f0f0f0f0f0f0f0f
	counts &= 1<<(4*bucket) - 1
	pairs := counts&low + counts>>4&low // at most 30 each, 240 in all
	return uint32(pairs * 0x0101010101010101 >> 56)
}

// among narrows ranks down to those that have these bits.
func (f *filter) among(in ranks, bits uint64) (found ranks) {
	for rank := in.from; rank < in.to; rank++ {
		if word(f.rest, rank)&restMask == bits {
			if found.from == found.to {
				found.from = rank
			}
			found.to = rank + 1
		}
	}
	return found
}

// word has the bits of perWord hashes from a rank on.
func word(rest []byte, rank uint32) uint64 {
	bit := uint64(rank) * restBits
	return binary.LittleEndian.Uint64(rest[bit>>3:]) >> (bit & 7)
}

// filterBuilder builds a filter from hashes in their order.
type filterBuilder struct {
	encoded []byte
	filter  filter
	block   uint64 // that is being counted
	counts  [buckets]uint32
	rank    uint32 // of the next hash
}

// newFilterBuilder is for n hashes at most. Room for more than there are is lost.
func newFilterBuilder(n int) *filterBuilder {
	encoded := huge(make([]byte, filterSize(n)))
	return &filterBuilder{encoded: encoded, filter: openFilter(encoded, n)}
}

func (b *filterBuilder) add(h hash) {
	block, within := bits.Mul64(h.hi, b.filter.blocks)
	b.advance(block)
	b.counts[within>>60]++
	bit := uint64(b.rank) * restBits
	at := b.filter.rest[bit>>3:]
	binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|restOf(h)<<(bit&7))
	b.rank++
}

// advance closes all blocks before one.
func (b *filterBuilder) advance(block uint64) {
	for ; b.block < block; b.block++ {
		binary.LittleEndian.PutUint64(b.filter.heads[b.block*headSize:], pack(b.counts))
		b.counts = [buckets]uint32{}
		binary.LittleEndian.PutUint32(b.filter.heads[(b.block+1)*headSize+8:], b.rank)
	}
}

func pack(counts [buckets]uint32) (packed uint64) {
	for i, n := range counts {
		if n > bucketMax {
			return crowded
		}
		packed |= uint64(n) << (4 * i)
	}
	return packed
}

// build closes the last block.
func (b *filterBuilder) build() (filter, []byte) {
	b.advance(b.filter.blocks)
	return b.filter, b.encoded
}
