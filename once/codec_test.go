package once_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
)

// full is a record with something in every field.
func full() once.Record {
	at := time.Date(2026, 11, 30, 12, 0, 0, 123_456_000, time.UTC)
	return once.Record{
		Key: once.Key{Tenant: "acme", ID: "order-42"}, State: once.Done, Fingerprint: fingerprint("x"), Operation: "POST /orders",
		Resource: "or_1", Attempt: 3, Owner: "me.1", LeaseUntil: at, CreatedAt: at.Add(1e6), ExpiresAt: at.Add(2e6), ForgetAt: at.Add(3e6),
		Progress: []byte("[]"), Note: "why", Replays: 7, Version: 9,
		Answer: once.Answer{
			Status: 201, Header: []once.Field{{Name: "Set-Cookie", Value: "a=1, b"}, {Name: "Set-Cookie", Value: ""}}, Body: []byte{0, 255},
			Dropped: true, Seal: "2026",
		},
	}
}

func TestARecordAsBytesIsAllOfIt(t *testing.T) {
	for name, r := range map[string]once.Record{"full": full(), "zero": {}, "far": {CreatedAt: time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)}} {
		b, err := r.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var got once.Record
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for n := range b {
			if err := got.UnmarshalBinary(b[:n]); !errors.Is(err, once.ErrFormat) {
				t.Errorf("%s, cut off at %d of %d, is read: %v", name, n, len(b), err)
			}
		}
		if err := got.UnmarshalBinary(append(b, 0)); !errors.Is(err, once.ErrFormat) {
			t.Errorf("%s with a byte behind it is read: %v", name, err)
		}
	}
}

// FuzzRecord holds that whatever is read is written again as it was.
func FuzzRecord(f *testing.F) {
	r := full()
	b, _ := r.AppendBinary(nil)
	f.Add(b)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again once.Record
		if r.UnmarshalBinary(b) != nil {
			return
		}
		b, _ = r.AppendBinary(nil)
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
