package grpconce_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/oncepay/oncepay/grpconce"
)

// BenchmarkUnary measures calls through a real connection on loopback, with a key on the
// memory store and, in turns with them, of a method that needs none. "of-bare" is the
// median of how they compare.
func BenchmarkUnary(b *testing.B) {
	bare, keyed := build(b, plan{rule: grpconce.Rule{Unkeyed: true}}), build(b, plan{})
	handle := func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Username: "ch_1"}, nil
	}
	bare.unary, keyed.unary = handle, handle
	for name, key := range map[string]func(n int) string{
		"first":  func(n int) string { return fmt.Sprint("k", n) },
		"replay": func(int) string { return "k" },
	} {
		b.Run(name, func(b *testing.B) {
			var without, with []time.Duration
			var ratios []float64
			for n := 0; b.Loop(); n++ {
				ctx := withKey(b, key(n))
				plain, ours := timed(b, bare, ctx), timed(b, keyed, ctx)
				without, with, ratios = append(without, plain), append(with, ours), append(ratios, float64(ours)/float64(plain))
			}
			b.ReportMetric(float64(median(without).Nanoseconds())/1e3, "bare-us")
			b.ReportMetric(float64(median(with).Nanoseconds())/1e3, "keyed-us")
			b.ReportMetric(median(ratios), "of-bare")
		})
	}
}

// timed is how long a call takes.
func timed(b *testing.B, h *house, ctx context.Context) time.Duration {
	began := time.Now()
	if _, err := h.UnaryCall(ctx, amount(1)); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median[T time.Duration | float64](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}
