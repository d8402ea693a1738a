package jcs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/internal/jcs"
)

// flat is a request of about 150 bytes, as most are.
const flat = `{"from":"customer:c_8121","to":"merchant:default","amount":1250,"currency":"EUR","reference":"order-4711","description":"two tickets, row 7","x":true}`

func BenchmarkParseAndCanonicalise(b *testing.B) {
	for name, text := range map[string]string{
		"flat":          flat,
		"with metadata": flat[:len(flat)-1] + `,"metadata":{"cart":"c_17","campaign":"autumn \u201ctwo for one\u201d"}}`,
		"batch of 100":  "[" + strings.Repeat(flat+",", 99) + flat + "]",
		"1 MiB of ones": "[" + strings.Repeat("1,", 1<<19) + "1]",
	} {
		b.Run(name, func(b *testing.B) {
			src, dst := []byte(text), make([]byte, 0, len(text))
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				v, err := jcs.Parse(src, usual)
				if err != nil {
					b.Fatal(err)
				}
				dst = v.AppendCanonical(dst[:0])
			}
		})
	}
}

func BenchmarkParseOfManyMembers(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `,"%x":%d`, uint32(i)*2654435761, i)
	}
	src := []byte("{" + text.String()[1:] + "}")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jcs.Parse(src, usual); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMember(b *testing.B) {
	v, err := jcs.Parse([]byte(flat), usual)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := v.Member("reference"); !ok {
			b.Fatal("no reference")
		}
	}
}
