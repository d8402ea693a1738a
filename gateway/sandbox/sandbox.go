// Package sandbox is a payment gateway that moves no money: a server for tests,
// demonstrations and development, and the connector that calls it.
//
//	gw, err := sandbox.Open(sandbox.Config{Books: "sandbox.db"})
//	http.ListenAndServe("127.0.0.1:8070", gw)
//
// The payment method chooses what happens ("pm_ok", "pm_declined",
// "pm_timeout_after_charge"…), a [Script] chooses more: answers that are cut
// off, reset, late, wrong or a lie.
//
// # What is promised
//
// The books tell the truth: what was executed is in them, durable, before
// anything is answered, and after kill -9 too. They are the judge of a test, as
// [Server.Charges] and GET /sandbox/charges. An operation's id is executed once
// within the window, however many send it at once. An answer of 4xx but 402
// means that this send did nothing. What comes with a time after which it must
// not be executed is not executed after it.
//
// # What is not promised
//
// A hostile server ([Config.Hostile]) executes whatever arrives, as often as it
// arrives, and says so in its contract. A Script keeps no promise but the books.
// Nobody is asked who they are: listen on loopback only.
//
// # On the wire
//
// POST /v1/operations, with the operation's id as Idempotency-Key, sends it. GET
// /v1/operations/{id} tells what became of it, GET /v1/contract what is declared.
// A send may have the header Sandbox-Not-After, a time as RFC 3339 has it: what
// comes to be executed later, by this server's clock, is answered 412 too_late
// instead. A repeat that is remembered executes nothing, and is answered like the
// first.
//
// The connector lets every send be executed for as long as InFlight is declared,
// from when it begins. So that bound is kept and not only declared: a server that
// stood still with requests in its sockets and queues would else carry them out
// when it goes on, long after everybody was told that there is no trace of them.
// Where the two clocks differ, so do the bound that is declared and the one that
// is kept. What a Script asks for is executed however late it is.
package sandbox

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where a sandbox keeps its books, and what it declares. Books is
// needed; the rest works as it is.
type Config struct {
	// Books is the path of the file that survives. It is made if there is none,
	// for this user only.
	Books string

	// Hostile makes every send one more execution, whatever its id. The declared
	// window is then zero.
	Hostile bool

	// Window is how long an operation's id is remembered (W). After that the same
	// id is executed anew.
	//
	// Defaults to 24 hours.
	Window time.Duration

	// LookupLag is the declared bound on what a lookup may miss (H).
	//
	// Defaults to 4 seconds.
	LookupLag time.Duration

	// InFlight is the declared bound on how long a request may be on its way (L).
	// What takes longer is not executed: see Sandbox-Not-After, above.
	//
	// Defaults to 4 seconds.
	InFlight time.Duration

	// Timeout is how long callers are told to wait for an answer.
	//
	// Defaults to 3 seconds.
	Timeout time.Duration

	// NoLookup declares that operations cannot be asked about, and refuses it.
	NoLookup bool

	// LagUntold declares that lookups do not say by how much they lag, and makes
	// them say nothing of it.
	LagUntold bool

	// OneCapture allows one capture for each authorization; WholeCapture, only of
	// all of it.
	OneCapture, WholeCapture bool

	// BaseURL is where people reach the pages of this server, without a slash at
	// the end.
	//
	// Defaults to the Host that a request was sent to, over plain HTTP.
	BaseURL string

	// MaxHanging bounds the requests that hang at once. One more is cut off
	// instead, which is no answer either.
	//
	// Defaults to 16,384.
	MaxHanging int

	// Script chooses faults, for tests. It may be nil.
	Script *Script

	// Now is the time that windows and lags are measured by. Waits are real
	// whatever it says.
	//
	// Defaults to time.Now.
	Now func() time.Time

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.LookupLag = cmp.Or(c.LookupLag, 4*time.Second)
	c.InFlight = cmp.Or(c.InFlight, 4*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 3*time.Second)
	c.MaxHanging = cmp.Or(c.MaxHanging, 1<<14)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Hostile {
		c.Window = 0
	}
	if c.Script == nil {
		c.Script = NewScript()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Limits of a server. A load beyond them is a test of something else.
const (
	maxBody     = 256 << 10 // an instruction has some 500 bytes; with all options that there can be, each escaped, 170 KiB
	maxRequests = 1 << 15   // at once, the hanging ones included
	bodyTimeout = 10 * time.Second
	hangFor     = time.Minute // longer than anybody waits for a gateway
)

// Server is the gateway. It is an http.Handler for all of the protocol; where
// only its pages and books are wanted, it may be mounted at /sandbox/ alone.
// Make one with [Open]. It is safe for concurrent use.
type Server struct {
	cfg     Config
	books   *books
	handler http.Handler

	closing  chan struct{} // closed: nothing waits any more
	once     sync.Once
	requests atomic.Int64
	hanging  atomic.Int64

	stopCourier context.CancelFunc
	courier     *courier
}

// Open opens the books, or makes them, and starts to deliver the webhooks that
// are due. It fails with an [ErrForeign] if the file is something else, with an
// [ErrOwned] if another process has it open, and with an [ErrNewer] if a later
// version made it. The caller closes the server.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	b, err := openBooks(cfg.Books)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, books: b, closing: make(chan struct{})}
	s.handler = s.routes()
	ctx, stop := context.WithCancel(context.Background())
	s.courier, s.stopCourier = newCourier(b, cfg), stop
	go s.courier.run(ctx)
	return s, nil
}

// Close lets go of the requests that hang, stops delivering webhooks, and
// closes the books when what is being written is written. What is asked later is
// answered 503. It may be called more than once.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		s.stopCourier()
		<-s.courier.done
		err = s.books.close()
	})
	return err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.requests.Add(-1)
	if s.requests.Add(1) > maxRequests {
		refuse(w, errOverloaded)
		return
	}
	s.handler.ServeHTTP(w, r)
}
