package jcs

import "testing"

const flat = `{"from":"acc_customer_1","to":"merchant:default","amount":1250,"currency":"EUR","reference":"order-4711","metadata":{"cart":"c_123456789","x":"abcd"}}`

func BenchmarkParseAndCanonicalise(b *testing.B) {
	src, dst := []byte(flat), make([]byte, 0, 256)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := Parse(src, 32)
		if err != nil {
			b.Fatal(err)
		}
		dst = v.AppendCanonical(dst[:0])
	}
}
