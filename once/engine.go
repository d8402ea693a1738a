package once

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Config says what an engine is. Scope and, with a store that others share or that
// outlives the process, Secret are needed; the rest works as it is.
type Config struct {
	// Scope says whose keys are meant: the tenant of the credential that ctx was
	// given, never a name that the request chose. [SingleTenant] says that there is
	// one. An engine without it is not made: it would give one customer another's
	// answer.
	Scope func(ctx context.Context) (tenant string, err error)

	// Secret keys fingerprints and derived keys: 32 random bytes, the same for all
	// engines of a store and for as long as its keys live.
	//
	// Defaults to a random one for a [Memory] store, which lives as long.
	Secret []byte

	// Window is how long an answer is kept and given again.
	//
	// Defaults to 24 hours.
	Window time.Duration

	// Retries is what Window must be long enough for; an engine whose Window is
	// shorter is not made.
	//
	// Defaults to those of [Window].
	Retries Window

	// Tombstones is how long a key is refused, from when it was first seen. What is
	// older is forgotten, and would run again.
	//
	// Defaults to 400 days; at least Window.
	Tombstones time.Duration

	// ULID says that keys are ULIDs, so that one which is older than Window is
	// refused even if nothing is known of it, like a UUIDv7.
	ULID bool

	// Lease is how long an attempt may be unheard of before it is taken for
	// vanished. It is renewed while the attempt works.
	//
	// Defaults to 30 seconds.
	Lease time.Duration

	// Wait is how long a duplicate waits for the first one's answer, if it does not
	// say so itself.
	//
	// Defaults to 10 seconds.
	Wait time.Duration

	// Finish is how long the end of an attempt may take to be written down before
	// the caller is answered all the same.
	//
	// Defaults to 5 seconds.
	Finish time.Duration

	// MaxAnswer is how large an answer may be to be kept, in bytes. A larger one is
	// given once, and its key is done all the same.
	//
	// Defaults to 1 MiB: larger ones belong in a blob store, their name in the answer.
	MaxAnswer int

	// MaxWaiters is how many callers wait for one key in this process at most. One
	// more is told that it is busy.
	//
	// Defaults to 10,000.
	MaxWaiters int

	// HashKeys stores keys hashed, where they may say something about a customer.
	// They are then listed, and settled, by their hash. It holds for all engines of a
	// store and for as long as its keys live, like Secret: to change it makes every key
	// a new one, and a repeat runs again.
	HashKeys bool

	// Encrypt are the secrets that answers and recovery points are encrypted with:
	// the first one is used, all can be read. A new one is put first, and the old one
	// is removed when a window has passed.
	//
	// Defaults to none: they are stored as they are.
	Encrypt []Secret

	// Observe is told what happens, by the goroutine in which it happens: it must not
	// wait. See [LogTo].
	Observe func(context.Context, Event)
}

func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.Retries = c.Retries.WithDefaults()
	c.Tombstones = cmp.Or(c.Tombstones, 400*24*time.Hour)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.Wait = cmp.Or(c.Wait, 10*time.Second)
	c.Finish = cmp.Or(c.Finish, 5*time.Second)
	c.MaxAnswer = cmp.Or(c.MaxAnswer, 1<<20)
	c.MaxWaiters = cmp.Or(c.MaxWaiters, 10_000)
	if c.Observe == nil {
		c.Observe = func(context.Context, Event) {}
	}
	return c
}

// SingleTenant is the Scope of a service whose callers may all see each other's
// answers.
func SingleTenant(context.Context) (string, error) { return "default", nil }

// check says what is wrong with a configuration that has its defaults.
func (c *Config) check() error {
	switch {
	case c.Scope == nil:
		return errors.New("once: an engine needs a Scope: say whose keys they are, or SingleTenant")
	case len(c.Secret) < minSecret:
		return fmt.Errorf("once: an engine needs a Secret of at least %d random bytes, the same for all that share its store", minSecret)
	case c.Tombstones < c.Window:
		return fmt.Errorf("once: Tombstones %v is less than Window %v", c.Tombstones, c.Window)
	case c.Lease < minLease:
		return fmt.Errorf("once: Lease %v is less than %v, too short to be renewed in time", c.Lease, minLease)
	}
	if err := checkSecrets(c.Encrypt); err != nil {
		return err
	}
	return c.Retries.Check(c.Window)
}

const (
	minSecret = 16 // 128 bits cannot be guessed
	minLease  = 50 * time.Millisecond
)

// Engine runs operations once for each key, on any number of machines that share
// its store. [New] makes one; it is safe for concurrent use. Operations that are
// functions go through an [Operation]; a face, such as package httponce, uses
// [Engine.Begin].
type Engine struct {
	store  Store
	cfg    Config
	rules  Rules
	owner  string // of what this engine claims; a number follows
	clock  clock
	prints *hashers
	seals  seals
	within *held // of an engine that works within something else; nil otherwise
	pulse  pulse

	mu      sync.Mutex
	flights map[Key]*flight
	claims  uint64 // made so far
	late    int    // writes that are tried on in the background
}

// New makes an engine on a store. It fails if cfg cannot be what it is told to be.
func New(store Store, cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if _, volatile := store.(*Memory); volatile && cfg.Secret == nil {
		cfg.Secret = []byte(rand.Text())
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Engine{
		store: store, cfg: cfg, owner: rand.Text() + ".", flights: map[Key]*flight{},
		prints: &hashers{secret: cfg.Secret}, seals: newSeals(cfg.Encrypt),
		rules: Rules{Window: cfg.Window, Lease: cfg.Lease, Tombstones: cfg.Tombstones, ULID: cfg.ULID},
	}, nil
}

// Policy is what becomes of an execution whose outcome nobody knows: its owner
// vanished, or says so itself. The zero Policy is Park: nothing runs twice by
// itself.
type Policy uint8

// The policies.
const (
	Park   Policy = iota // a human decides: see Engine.Settle
	Rerun                // it is declared safe to run again, from the beginning
	Resume               // it goes on at its last recovery point: see Step
	Probe                // it is asked what became of it: see Operation.Probe
)

func (p Policy) String() string { return [...]string{"park", "rerun", "resume", "probe"}[p] }

// Terms are what a caller wants of [Engine.Begin].
type Terms struct {
	Vanished Policy // of an earlier attempt

	// Wait is how long it waits for somebody else's answer; negative: not at all.
	//
	// Defaults to Config.Wait.
	Wait time.Duration
}

// Turn is what a caller may do: run the operation, or give an answer again.
type Turn struct {
	Attempt *Attempt // to be run, and ended; nil: Record has the answer
	Record  Record
	Waited  bool // somebody else was at it
}

// What Begin fails with, beside ErrMismatch, ErrExpired and ErrMalformedKey.
// Nothing of the operation ran.
var (
	// ErrBusy means that the operation is at work under the key, here or elsewhere.
	// A [BusyError] says when to come again.
	ErrBusy = errors.New("once: the operation is at work")

	// ErrParked means that the operation began earlier, nobody knows what came of
	// it, and its policy is that a human decides. Retrying does not help before that.
	ErrParked = errors.New("once: it is not known what became of the operation, and a human must decide")

	// ErrUnavailable means that the store did not answer. The same may be asked again.
	ErrUnavailable = errors.New("once: the store is not available")
)

// BusyError is an ErrBusy that says when to come again.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v; come again in %v", ErrBusy, e.RetryAfter)
}

// Is says that it is an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// Tenant is whose keys are meant by who was given ctx: what Config.Scope says.
func (e *Engine) Tenant(ctx context.Context) (string, error) {
	tenant, err := e.cfg.Scope(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrScope, err)
	}
	return tenant, nil
}

// ErrScope means that it is not known whose key it is: nobody who is known asks.
var ErrScope = errors.New("once: no tenant")

// Fingerprint is that of a request: what was asked, of what, and with which body.
// Of a body of JSON only what it means should count: see package jcs's canonical
// form, which [Operation] uses.
func (e *Engine) Fingerprint(tenant, method, target string, body []byte) Fingerprint {
	return e.prints.request(tenant, method, target, body)
}

// Expiry is until when a key is kept that is first used now.
func (e *Engine) Expiry() time.Time { return e.clock.now().Add(e.cfg.Window) }

// MaxAnswer is how large an answer may be to be kept, in bytes: Config.MaxAnswer.
func (e *Engine) MaxAnswer() int { return e.cfg.MaxAnswer }

// Find returns what is known of a key, with its answer in the clear. The key is as its
// client sent it, or as Unfinished lists it. The Record of a key that nothing is known of
// is Absent.
func (e *Engine) Find(ctx context.Context, key Key) (Record, error) {
	seen, err := e.find(ctx, key)
	if err != nil {
		return Record{}, fmt.Errorf("%w: find: %w", ErrUnavailable, err)
	}
	e.clock.saw(seen.At)
	r, err := e.open(seen.Record)
	if r.Expired(e.clock.now()) {
		r = r.Bury(e.clock.now())
	}
	return r, err
}

// find loads a key by either of its ids: where keys are hashed, the list of what is
// unfinished knows none but that.
func (e *Engine) find(ctx context.Context, key Key) (Seen, error) {
	seen, err := e.store.Load(ctx, e.stored(key))
	if err == nil && seen.Record.State == Absent && e.cfg.HashKeys {
		return e.store.Load(ctx, key)
	}
	return seen, err
}

// Keep has the store forget what is over until ctx ends, if it does not by itself.
// One process of those that share a store is enough; more do no harm.
func (e *Engine) Keep(ctx context.Context) {
	s, sweeps := e.store.(Sweeper)
	for sweeps {
		more, err := s.Sweep(ctx, e.clock.now())
		if err != nil && ctx.Err() == nil {
			e.cfg.Observe(ctx, Event{Happening: HasFailed, Err: fmt.Errorf("sweep: %w", err)})
		}
		pause := sweepPeriod
		if more && err == nil {
			pause = sweepPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
	<-ctx.Done()
}

const (
	sweepPeriod = time.Minute
	sweepPause  = 10 * time.Millisecond // between two pieces of work: others use the store, too
)
