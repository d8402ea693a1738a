package id

// alphabet is Crockford's, without i, l, o and u. Its order is that of ASCII,
// so that strings sort as the numbers do.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// suffixLen characters of 5 bits hold 128 bits; the first has only 3 of them.
const suffixLen = 26

// appendBase32 writes the 128 bits of hi and lo.
func appendBase32(dst []byte, hi, lo uint64) []byte {
	for shift := 125; shift >= 0; shift -= 5 {
		dst = append(dst, alphabet[bitsAt(hi, lo, shift)&0x1f])
	}
	return dst
}

// bitsAt returns the number in hi and lo shifted right, cut to 64 bits.
func bitsAt(hi, lo uint64, shift int) uint64 {
	if shift >= 64 {
		return hi >> (shift - 64)
	}
	return lo>>shift | hi<<(64-shift)
}

// decodeBase32 is the inverse of appendBase32. values says what each character
// stands for: TypeID allows one spelling, ULID both cases.
func decodeBase32(s string, values *[256]byte) (hi, lo uint64, ok bool) {
	if len(s) != suffixLen || values[s[0]] > 7 {
		return 0, 0, false
	}
	for i := range suffixLen {
		v := values[s[i]]
		if v == invalid {
			return 0, 0, false
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	return hi, lo, true
}

const invalid = 0xff

var (
	lowerCase = valuesOf(alphabet)
	anyCase   = valuesOf(alphabet, "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
)

func valuesOf(alphabets ...string) *[256]byte {
	var values [256]byte
	for i := range values {
		values[i] = invalid
	}
	for _, a := range alphabets {
		for v := range len(a) {
			values[a[v]] = byte(v)
		}
	}
	return &values
}
