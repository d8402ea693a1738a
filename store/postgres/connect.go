package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How many connections a store has, at most.
const (
	// deskConns load and commit: one batch commits while the next is loaded, requests
	// that are shed look up their keys beside them, one may hold rows, and there is one for
	// upkeep.
	deskConns = 5

	// readConns read for requests. A server has few processors to use more at once;
	// pool_max_conns of the URL is another number.
	readConns = 8
)

// How long things may take.
const (
	dialTimeout = 5 * time.Second

	// commitTimeout is the longest that a commit is waited for: then it is unknown. It
	// is longer than the server's statementTimeout, so that most of the time the server
	// says what became of it.
	commitTimeout    = 30 * time.Second
	statementTimeout = 20 * time.Second

	// lockTimeout is the longest that one statement waits for another commit's rows.
	lockTimeout = 10 * time.Second
)

// connect makes a pool. Commits and what decides read where writing is: a standby that
// is named in the URL is passed over until it is the primary.
func connect(ctx context.Context, url string, most int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL // err may show the password
	}
	if most > 0 {
		cfg.MaxConns = most
	}
	cfg.MaxConnLifetimeJitter = cfg.MaxConnLifetime / 10
	tune(&cfg.ConnConfig.Config)
	return pgxpool.NewWithConfig(ctx, cfg)
}

// tune sets what holds for every connection. Nothing of it is a startup parameter that
// PgBouncer does not know.
func tune(cfg *pgconn.Config) {
	if cfg.ValidateConnect == nil {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "oncepay"
	}
	cfg.DialFunc = (&net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}).DialContext
	cfg.OnNotice = noteWarning
}

// begin is what every transaction begins with, since it may be on another session than
// the one before. Statements are planned once, and by index, whatever the tables look like
// when they are small. A client that is gone is noticed within half a minute, so that the rows
// that it had locked are free again. Warnings are sent: see [Store.Commit].
var begin = fmt.Sprintf(`SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
	set_config('jit', 'off', true), set_config('client_min_messages', 'warning', true),
	set_config('statement_timeout', '%[1]d', true), set_config('lock_timeout', '%[2]d', true),
	set_config('idle_in_transaction_session_timeout', '%[1]d', true),
	set_config('tcp_keepalives_idle', '15', true), set_config('tcp_keepalives_interval', '5', true), set_config('tcp_keepalives_count', '3', true),
	set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`,
	statementTimeout.Milliseconds(), lockTimeout.Milliseconds())

// server is what is asked of a server.
type server struct {
	version                              int
	recovering                           bool
	encoding                             string
	fsync, fullPageWrites, synchronously string
}

func ask(ctx context.Context, db *pgxpool.Pool) (s server, err error) {
	err = db.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('server_encoding'),
		current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`).
		Scan(&s.version, &s.recovering, &s.encoding, &s.fsync, &s.fullPageWrites, &s.synchronously)
	return s, hide(err)
}

// oldest is the first version that has what is used: 15.
const oldest = 150000

// check says why a server cannot hold a store.
func (s server) check() error {
	switch {
	case s.version < oldest:
		return fmt.Errorf("the server is PostgreSQL %d: it must be 15 or later", s.version/10000)
	case s.recovering:
		return errors.New("the server is a standby: what it shows may be old, and it takes no commits")
	case s.encoding != "UTF8":
		return fmt.Errorf("the database has the encoding %s: it must be UTF8", s.encoding)
	}
	return nil
}

// warn tells of settings by which what was acknowledged can be lost. They are the server's,
// and may be meant: a test's server, or one whose disk cannot tear a page.
func (s server) warn(log *slog.Logger) {
	if s.fsync != "on" {
		log.Warn("postgres: the server does not sync what it commits: in a power cut payments that were acknowledged are lost, and may be sent again", "fsync", s.fsync)
	}
	if s.fullPageWrites != "on" {
		log.Warn("postgres: a power cut can leave pages of the server half written, unless its disk writes them as a whole", "full_page_writes", s.fullPageWrites)
	}
	if s.synchronously == "off" {
		log.Warn("postgres: the server is set to acknowledge before it has synced; commits of this store wait all the same", "synchronous_commit", s.synchronously)
	}
}

// inTransaction runs fn in a transaction that begins as all do.
func inTransaction(ctx context.Context, db *pgxpool.Pool, options pgx.TxOptions, fn func(pgx.Tx) error) error {
	return hide(pgx.BeginTxFunc(ctx, db, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, begin); err != nil {
			return err
		}
		return fn(tx)
	}))
}

// pgxConfig is that of one connection.
func pgxConfig(url string) (*pgx.ConnConfig, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL // err may show the password
	}
	tune(&cfg.ConnConfig.Config)
	return cfg.ConnConfig, nil
}

var errURL = errors.New("the URL of the store is not one of PostgreSQL: postgres://USER@HOST:PORT/DATABASE")

// namesPool says whether the URL bounds the connections that read.
func namesPool(url string) bool { return strings.Contains(url, "pool_max_conns=") }
