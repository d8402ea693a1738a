// Package nats carries events to NATS JetStream.
//
//	sink, err := nats.Connect(nats.Config{URL: "nats://127.0.0.1:4222"})
//	relay := outbox.New(outbox.Config{Name: "nats", Store: store, Sink: sink})
//
// # What is promised
//
// An event is a message on the subject PREFIX.TENANT.TYPE (oncepay.events.acme.transfer.posted), its
// payload the CloudEvents envelope, its Nats-Msg-Id the event's id: within the stream's
// dedup window a repeat is acknowledged and not kept again. An event counts as taken when the
// stream named in the configuration has acknowledged it. The stream is made if it is not there,
// also after the broker has lost it. A connection that breaks is made again; what was on
// its way then is not known, and its caller told so.
//
// # What is not promised
//
// Durability is the stream's: a server with its default settings acknowledges before it
// syncs, and loses the last seconds in a power cut (package embedded sets it to sync; for a
// cluster it is replicas). A stream that is there is used as it is. After the dedup window a
// repeat is kept again.
package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/oncepay/oncepay/outbox"
)

// Config says where the broker is. URL is needed; the rest works as it is.
type Config struct {
	// URL is the server, or several, separated by commas: nats://HOST:PORT, tls://…
	URL string

	// Credentials is a file with the user's JWT and key, as NATS' tools make it.
	//
	// Defaults to none, or to what URL has.
	Credentials string

	// Stream is the stream that keeps the events.
	//
	// Defaults to ONCEPAY.
	Stream string

	// Prefix is what the subjects of events begin with.
	//
	// Defaults to oncepay.events.
	Prefix string

	// DedupWindow is for how long a stream that is made here knows the ids of its messages.
	//
	// Defaults to 10 minutes: longer than a server takes to be restarted, or another one to
	// take over.
	DedupWindow time.Duration

	// MaxAge is how long a stream that is made here keeps events.
	//
	// Defaults to 7 days: a consumer that was away for longer asks for a replay.
	MaxAge time.Duration

	// Replicas is how many servers of a cluster keep each event of a stream that is made here.
	//
	// Defaults to 1.
	Replicas int

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Stream = cmp.Or(c.Stream, "ONCEPAY")
	c.Prefix = cmp.Or(c.Prefix, "oncepay.events")
	c.DedupWindow = cmp.Or(c.DedupWindow, 10*time.Minute)
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

const (
	// ackTimeout is how long the client waits for an acknowledgement before it says that
	// nobody knows. The relay has a limit of its own: this frees what is kept for it.
	ackTimeout = 30 * time.Second

	// reconnectWait is how soon a connection that broke is tried again.
	reconnectWait = 250 * time.Millisecond

	// pending bounds what is published and not acknowledged. It is far above what a relay has
	// in flight, so that publishing never waits for it.
	pending = 1 << 16
)

// errAway means that there is no connection.
var errAway = errors.New("nats: the server is not connected")

// Sink is an [outbox.Sink]. Make one with [Connect].
type Sink struct {
	cfg    Config
	conn   *nats.Conn
	stream jetstream.JetStream

	ready atomic.Bool // the stream is there, as far as is known

	mu    sync.Mutex
	tries map[*nats.Msg]func(error) // not answered yet
}

// Connect makes a sink. It does not wait for the server: until that is there, publishing
// fails. It fails if the configuration is wrong.
func Connect(cfg Config) (*Sink, error) {
	s := &Sink{cfg: cfg.withDefaults(), tries: map[*nats.Msg]func(error){}}
	options := []nats.Option{
		nats.Name("oncepay"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), // what cannot be sent fails, and is the relay's to send again
		nats.ConnectHandler(s.connected), nats.ReconnectHandler(s.connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { s.disconnected(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.cfg.Log.Warn("nats: the server complains", "err", err)
		}),
	}
	if cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(cfg.Credentials))
	}
	var err error
	if s.conn, err = nats.Connect(cfg.URL, options...); err != nil {
		return nil, fmt.Errorf("nats: connect: %w", err)
	}
	s.stream, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(pending), jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { s.answer(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { s.answer(m, err) }))
	if err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("nats: connect: %w", err)
	}
	return s, nil
}

// connected may be called before Connect has returned.
func (s *Sink) connected(c *nats.Conn) {
	s.ready.Store(false) // it may be another server, or one that has lost its streams
	s.cfg.Log.Info("nats: connected", "server", c.ConnectedUrlRedacted())
}

func (s *Sink) disconnected(err error) {
	if err != nil {
		s.cfg.Log.Warn("nats: the connection broke; it is made again", "err", err)
	}
}

// Publish is [outbox.Sink]'s.
func (s *Sink) Publish(ctx context.Context, m outbox.Message, done func(error)) {
	if err := s.prepare(ctx); err != nil {
		done(err)
		return
	}
	msg := &nats.Msg{
		Subject: Subject(s.cfg.Prefix, m.Event), Data: m.Envelope,
		Header: nats.Header{
			jetstream.MsgIDHeader: {m.ID}, jetstream.ExpectedStreamHeader: {s.cfg.Stream}, "Content-Type": {outbox.ContentType},
		},
	}
	s.mu.Lock()
	s.tries[msg] = done
	s.mu.Unlock()
	if _, err := s.stream.PublishMsgAsync(msg); err != nil {
		s.answer(msg, err)
	}
}

// Subject is the subject of an event. The tenant is one token of it, so that consumers can ask for
// one tenant's, and be allowed no others: what has a meaning in subjects is written as %XX.
func Subject(prefix string, e outbox.Event) string {
	var tenant strings.Builder
	for _, c := range []byte(e.Tenant) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(".*>%", c) >= 0 {
			fmt.Fprintf(&tenant, "%%%02X", c)
			continue
		}
		tenant.WriteByte(c)
	}
	return prefix + "." + tenant.String() + "." + e.Type
}

// answer tells whoever published a message what became of it, once.
func (s *Sink) answer(m *nats.Msg, err error) {
	s.mu.Lock()
	done := s.tries[m]
	delete(s.tries, m)
	s.mu.Unlock()
	if err != nil {
		s.ready.Store(false) // whatever it was, the stream is looked at before the next try
	}
	if done != nil {
		done(err)
	}
}

// prepare sees to it that there is a connection and a stream.
func (s *Sink) prepare(ctx context.Context) error {
	switch {
	case s.ready.Load():
		return nil
	case !s.conn.IsConnected():
		return errAway
	}
	if err := s.makeStream(ctx); err != nil {
		return fmt.Errorf("nats: stream %s: %w", s.cfg.Stream, err)
	}
	s.ready.Store(true)
	return nil
}

// makeStream makes the stream, unless it is there.
func (s *Sink) makeStream(ctx context.Context) error {
	found, err := s.stream.Stream(ctx, s.cfg.Stream)
	switch {
	case err == nil:
		s.judge(found.CachedInfo().Config)
		return nil
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	_, err = s.stream.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.cfg.Stream, Description: "Events of oncepay", Subjects: []string{s.cfg.Prefix + ".>"},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Replicas: s.cfg.Replicas,
		Duplicates: s.cfg.DedupWindow, MaxAge: s.cfg.MaxAge,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was quicker
		return nil
	}
	if err == nil {
		s.cfg.Log.Info("nats: the stream was made", "stream", s.cfg.Stream, "dedup_window", s.cfg.DedupWindow.String(), "max_age", s.cfg.MaxAge.String())
	}
	return err
}

// judge warns of a stream that promises less than what is configured.
func (s *Sink) judge(c jetstream.StreamConfig) {
	if c.Duplicates < s.cfg.DedupWindow {
		s.cfg.Log.Warn("nats: the stream forgets ids earlier than what is configured: repeats after that are kept again",
			"stream", c.Name, "its", c.Duplicates.String(), "configured", s.cfg.DedupWindow.String())
	}
	if c.Storage != jetstream.FileStorage {
		s.cfg.Log.Warn("nats: the stream is kept in memory: it acknowledges what it loses with its server", "stream", c.Name)
	}
}

// Close ends the connection. What was not answered is answered: nobody knows.
func (s *Sink) Close() {
	s.conn.Close()
	s.mu.Lock()
	left := s.tries
	s.tries = map[*nats.Msg]func(error){}
	s.mu.Unlock()
	for _, done := range left {
		done(errAway)
	}
}
