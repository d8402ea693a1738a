package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/oncepay/oncepay/broker/kafka"
	"github.com/oncepay/oncepay/broker/nats"
	natsserver "github.com/oncepay/oncepay/broker/nats/embedded"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/outbox"
)

// What the cursors of brokers are kept under.
const (
	natsName  = "nats"
	kafkaName = "kafka"
)

// sinkRow are the sinks of a server by their names, and who relays to them.
type sinkRow struct {
	relays map[string]*outbox.Relay

	closers []func() error
}

// openSinks opens the sinks of a configuration. dir is where an embedded store is, and may have
// a broker beside it.
func openSinks(cfg config, dir string, s outbox.Store, log *slog.Logger) (r *sinkRow, err error) {
	r = &sinkRow{relays: map[string]*outbox.Relay{}}
	at := cfg.nats.URL
	if cfg.embedded != "" {
		at, err = r.openInside(cfg.embedded, filepath.Join(dir, "nats"))
	}
	if err == nil && at != "" {
		err = r.openNATS(cfg, at, s, log)
	}
	if err == nil && len(cfg.kafka.Brokers) > 0 {
		err = r.openKafka(cfg, s, log)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// openInside runs a NATS server in this process.
func (r *sinkRow) openInside(addr, dir string) (url string, err error) {
	s, err := natsserver.Start(natsserver.Config{Addr: addr, Dir: dir})
	if err != nil {
		return "", fmt.Errorf("nats.embedded: %w", err)
	}
	r.closers = append(r.closers, func() error { s.Close(); return nil })
	return s.ClientURL(), nil
}

func (r *sinkRow) openNATS(cfg config, at string, s outbox.Store, log *slog.Logger) error {
	c := cfg.nats
	c.URL, c.Log = at, log
	sink, err := nats.Connect(c)
	if err != nil {
		return fmt.Errorf("nats.url: %w", err)
	}
	r.closers = append(r.closers, func() error { sink.Close(); return nil })
	r.relays[natsName] = newRelay(cfg, natsName, s, sink, log)
	return nil
}

func (r *sinkRow) openKafka(cfg config, s outbox.Store, log *slog.Logger) error {
	c := cfg.kafka
	if c.Log = log; cfg.kafkaTLS {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Login.User == "" {
		c.Login = kafka.Login{}
	}
	sink, err := kafka.Connect(c)
	if err != nil {
		return fmt.Errorf("kafka.brokers: %w", err)
	}
	r.closers = append(r.closers, func() error { sink.Close(); return nil })
	r.relays[kafkaName] = newRelay(cfg, kafkaName, s, sink, log)
	return nil
}

// newRelay makes the relay of a sink.
func newRelay(cfg config, name string, s outbox.Store, sink outbox.Sink, log *slog.Logger) *outbox.Relay {
	poll := time.Duration(0) // its default: other processes commit, too, and wake nobody here
	if placeOf(cfg.store).owned() != "" {
		poll = idlePoll
	}
	return outbox.New(outbox.Config{Name: name, Store: s, Sink: sink, Source: cfg.source, Poll: poll, Log: log})
}

// idlePoll is how often a relay looks that is woken by every commit: for one that ended
// badly, and was made all the same.
const idlePoll = time.Second

// wakeAfter wakes the relays when a commit has ended.
func (r *sinkRow) wakeAfter(hook func(engine.Phase)) func(engine.Phase) {
	if len(r.relays) == 0 {
		return hook
	}
	return func(p engine.Phase) {
		if hook != nil {
			hook(p)
		}
		if p == engine.Ended {
			for _, relay := range r.relays {
				relay.Wake()
			}
		}
	}
}

// start relays until ctx ends, in goroutines that begin makes.
func (r *sinkRow) start(ctx context.Context, begin func(func())) {
	for name, relay := range r.relays {
		if name != hooksName { // it is begun when somebody has an endpoint
			begin(func() { relay.Run(ctx) })
		}
	}
}

// close ends what openSinks began, the last first. No relay runs any more.
func (r *sinkRow) close() (err error) {
	for i := len(r.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, r.closers[i]())
	}
	r.closers = nil
	return err
}
