// Package redis keeps idempotency keys in Redis or Valkey, on one server or on a
// Cluster: a once.Store and a once.Lister.
//
//	keys, err := redis.Open(ctx, redis.Config{Addrs: []string{"127.0.0.1:6379"}})
//	eng, err := once.New(keys, once.Config{Scope: tenantOf, Secret: secret})
//
// # What is promised
//
// For as long as the server keeps what it has acknowledged: of all who write a key at
// one version one wins, and who loses is shown to what. What is read was read from the
// primary, never from a replica. A claim is one round trip, and so is its end; giving
// an answer again is two. Leases and windows are measured by the server's clock. What is
// unfinished never expires. What is over goes by itself, by a TTL: the answer when its
// window is over, the key that refuses what comes later when it may be forgotten.
// Scripts are sent again where SCRIPT FLUSH dropped them, and nothing else is ever sent
// twice: a write whose answer was lost is an error, and the engine finds out.
//
// # What is not promised
//
// It cannot hold money: there is no commit of a key together with a balance, and no
// store of package engine here. Never let it be the only guard of money either. Redis
// acknowledges before anything is on a disk or on a replica, so what was acknowledged can
// be lost, and a key that is lost runs again:
//
//   - A failover loses what the replica had not received. WAIT does not prevent that: it
//     tells how many had received it, and the one that is elected may be another.
//   - A restart loses what was not written (appendonly no) or not synced (appendfsync
//     everysec: about a second). Open logs what the server is set to.
//   - FLUSHALL, FLUSHDB, and a restored snapshot lose keys by intent.
//   - Eviction loses any key at any time. Open refuses a server that evicts.
//   - A primary that is cut off from its Cluster takes writes, which will be lost, for
//     cluster-node-timeout.
//
// What holds all the same: an attempt whose claim was lost cannot complete as if nothing
// had happened. Its end finds no key, or another's, and it is fenced (once.ErrFenced).
// If only its end was lost, the claim is there, and its operation's policy decides, which
// is to run nothing unless it says otherwise. But if somebody has claimed the lost key
// meanwhile, at the same version, whoever ends first gives the answer: both have run, and
// both are told that one answer. A fencing token begins at 1 again with a key that was
// lost.
//
// So use it where running twice costs work, not money, or where the effect has a guard
// of its own: a unique row in a database (store/sqlkeys joins the key to it), a gateway
// that knows the key which an attempt derives (once.Attempt.Derive).
//
// # What is kept
//
// A key is named PREFIX{LENGTH:TENANT:ID}, where LENGTH is that of the tenant's name, and
// holds one record. When it is finished its answer moves to a key of its own, of the
// same name with an "a" behind, so that the answer expires with the window and the rest
// with the tombstone; both are in the same slot. With once.Config.Tombstones no longer
// than the window there is nothing to remember after the answer, and one key holds both,
// which takes less time and memory. Ids that clients choose decide about the slot; with
// once.Config.HashKeys nobody can choose many that meet on one node.
//
// While a slot of a Cluster is moved to another node, an attempt of a key in it may find
// that it cannot be ended yet (TRYAGAIN); the engine tries on until the slot has moved.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
)

// Config says where the server is and what may be done there. Addrs is needed; the rest
// works as it is.
type Config struct {
	// Addrs are the servers, HOST:PORT: one, or some of a Cluster, which tells the
	// others.
	Addrs []string

	// TLS is how the connection is encrypted.
	//
	// Defaults to nil: it is not.
	TLS *tls.Config

	// Username and Password are those of an ACL user, or Password alone that of the
	// default one. The user needs SET, GET, MGET, GETRANGE, EVALSHA, EVAL, TIME, SCRIPT
	// LOAD and SCAN on keys that begin with Prefix, CLUSTER SLOTS and CLUSTER SHARDS, and
	// should have INFO and CONFIG GET.
	Username, Password string

	// DB is the database's number. A Cluster has only 0.
	DB int

	// Prefix is what the names of keys begin with. It has no braces, which would put all
	// keys into one slot.
	//
	// Defaults to "once:".
	Prefix string

	// Timeout is how long the server may take to accept a connection, or to answer.
	//
	// Defaults to 3 seconds: less than an engine takes to write down the end of an
	// attempt (once.Config.Finish), so that it is tried again.
	Timeout time.Duration

	// AllowEviction takes a server that drops keys when its memory is full. Then a key
	// may run again at any time; who relies on keys does not set it.
	AllowEviction bool

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, "once:")
	c.Timeout = cmp.Or(c.Timeout, 3*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

// check says what is wrong with a configuration that has its defaults.
func (c *Config) check() error {
	switch {
	case len(c.Addrs) == 0:
		return errors.New("redis: a store needs Addrs: HOST:PORT of a server, or of some of a Cluster")
	case strings.ContainsAny(c.Prefix, "{}"):
		return fmt.Errorf("redis: Prefix %q has a brace, which would put all keys into one slot", c.Prefix)
	case c.Timeout < 0:
		return fmt.Errorf("redis: Timeout %v is negative", c.Timeout)
	}
	return nil
}

// How a client of a Cluster keeps up with it.
const (
	maxRedirects   = 8               // of one command; more means that nodes do not agree
	refreshCluster = 5 * time.Second // a failover is noticed also by who only lists
)

// options are those of the client. Nothing is retried: a write that was sent twice would
// lose to itself, and only the engine can tell that. Nothing is sent to replicas, and
// nothing is cached.
func (c *Config) options() rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: c.Addrs, TLSConfig: c.TLS, Username: c.Username, Password: c.Password, SelectDB: c.DB, ClientName: "oncepay",
		Dialer: net.Dialer{Timeout: c.Timeout}, ConnWriteTimeout: c.Timeout, DisableRetry: true, DisableCache: true,
		ClusterOption: rueidis.ClusterOption{MaxMovedRedirections: maxRedirects, ShardsRefreshInterval: refreshCluster},
	}
}

// Store keeps keys on a server. Make one with [Open]; it is safe for concurrent use.
type Store struct {
	cfg    Config
	client rueidis.Client
	names  names
	clock  clock
	swap   string // the digest of swapScript, by which the server knows it
}

var (
	_ once.Store  = (*Store)(nil)
	_ once.Lister = (*Store)(nil)
)

// Open connects to a server, or to a Cluster. It fails with an [ErrEvicts] if a server
// there drops keys when its memory is full.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	client, err := rueidis.NewClient(cfg.options())
	if err != nil {
		return nil, fmt.Errorf("redis: open %s: %w", strings.Join(cfg.Addrs, ","), err)
	}
	s := &Store{cfg: cfg, client: client, names: names{cfg.Prefix}}
	if err := s.meet(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return s, nil
}

// meet finds out whether the servers will do, and makes those ready that are there: one
// that is away keeps nobody from the others.
func (s *Store) meet(ctx context.Context) error {
	met, away := false, error(nil)
	for _, n := range s.nodes(ctx) {
		if err := n.check(s.cfg); err != nil {
			return err
		}
		if err := s.prepare(ctx, &n); err != nil {
			return err
		}
		n.warn(ctx, s.cfg.Log)
		if n.away != nil {
			away = n.away
			continue
		}
		met = true
	}
	if !met {
		return cmp.Or(away, errors.New("redis: no server is known"))
	}
	return nil
}

// prepare loads the script into a server and learns its time. It fails if the server
// refuses either; one that does not answer is away.
func (s *Store) prepare(ctx context.Context, n *node) error {
	if n.away != nil {
		return nil
	}
	answers := n.client.DoMulti(ctx, n.client.B().ScriptLoad().Script(swapScript).Build(), n.client.B().Time().Build())
	digest, err := answers[0].ToString()
	if err == nil {
		s.swap, err = digest, s.clock.saw(answers[1])
	}
	if err == nil {
		return nil
	}
	_, refused := rueidis.IsRedisErr(err)
	err = fmt.Errorf("redis: load the script into %s and ask it the time: %w", n.addr, err)
	if refused {
		return err
	}
	n.away = err
	return nil
}

// Close ends the connections. What is on its way fails, and may have been written.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}
