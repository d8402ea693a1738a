package nats_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oncepay/oncepay/outbox"
)

// errAny stands for some error.
var errAny = errors.New("some error")

func message() outbox.Message {
	e := outbox.Event{ID: "evt_1", Tenant: "t", Type: "transfer.posted", Subject: "tr_1", At: time.Unix(1, 0), Data: []byte("{}")}
	return outbox.Message{Placed: outbox.Placed{Event: e}, Envelope: outbox.AppendEnvelope(nil, outbox.DefaultSource, e)}
}

// publish publishes one message, and holds what becomes of it.
func publish(t *testing.T, s outbox.Sink, want error) {
	t.Helper()
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		told := make(chan error, 2)
		s.Publish(ctx, message(), func(err error) { told <- err })
		err = <-told
		cancel()
		if (err == nil) == (want == nil) { // a connection takes a moment
			return
		}
	}
	t.Fatalf("got %v, want %v", err, want)
}
