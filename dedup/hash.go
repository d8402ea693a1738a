package dedup

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// hash is what an id is known by: SipHash-2-4 with 128 bits under the directory's key.
// Where ids stand in tables, segments and filters follows from it, so who does not know
// the key can neither make two ids meet nor crowd one place.
type hash struct{ hi, lo uint64 }

func (h hash) less(other hash) bool {
	return h.hi < other.hi || h.hi == other.hi && h.lo < other.lo
}

const keySize = 16

// hasher makes hashes under a key.
type hasher struct{ k0, k1 uint64 }

func newHasher(key [keySize]byte) hasher {
	return hasher{binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])}
}

func (k hasher) of(id []byte) hash {
	hi, lo := siphash.Hash128(k.k0, k.k1, id)
	return hash{hi, lo}
}

// mark is what files of one directory have in common, so that a file of another one is
// noticed. It is longer than any id, so it is no id's hash.
func (k hasher) mark() uint64 {
	return k.of(make([]byte, MaxID+1)).lo
}
