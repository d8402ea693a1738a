package audit

import (
	"math"
	"math/big"
	"testing"
)

// A digest taken n times is what n of them add up to, modulo 2^128.
func TestASumTakenManyTimes(t *testing.T) {
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	whole := func(s sum) *big.Int {
		n := new(big.Int).Lsh(new(big.Int).SetUint64(s.hi), 64)
		return n.Or(n, new(big.Int).SetUint64(s.lo))
	}
	for _, d := range []sum{{0, 1}, {1, 0}, {math.MaxUint64, math.MaxUint64}, {0x0123456789abcdef, 0xfedcba9876543210}} {
		for _, n := range []int64{0, 1, -1, 2, -2, 1e12, -1e12, math.MaxInt64, math.MinInt64} {
			want := new(big.Int).Mul(whole(d), big.NewInt(n))
			if got := whole(d.times(n)); got.Cmp(want.Mod(want, modulus)) != 0 {
				t.Errorf("%d times %x is %x, want %x", n, whole(d), got, want)
			}
		}
	}
}
