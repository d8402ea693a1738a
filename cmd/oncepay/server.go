package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/processor"
	"github.com/oncepay/oncepay/web"
)

// devKey is the API key that everybody knows; config.checkDev keeps it on
// loopback.
const devKey = "sk_dev"

// server is everything that `oncepay serve` runs.
type server struct {
	cfg       config
	log       *slog.Logger
	listener  net.Listener
	at        place
	store     store
	caution   *caution
	gateways  *gatewayRow
	sinks     *sinkRow
	hooks     *hooks
	processor *processor.Processor
	executor  *engine.Executor
	api       *web.API
	http      *http.Server

	keeping sync.WaitGroup // what runs beside the requests
	stop    context.CancelFunc
}

// serve answers until ctx ends, then drains.
func serve(ctx context.Context, p *program, cfg config) (err error) {
	s := &server{cfg: cfg, log: newLogger(p.stderr, cfg.log)}
	if m := cfg.limits.memory; m > 0 && !slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") }) {
		debug.SetMemoryLimit(m)
	}
	if s.listener, err = net.Listen("tcp", cfg.addr); err != nil {
		return fmt.Errorf("addr: %w", err)
	}
	defer s.listener.Close()
	if err := s.start(ctx, placeOf(cfg.store)); err != nil {
		return err
	}
	if cfg.dev {
		s.log.Warn("this is for development: the API key sk_dev, which everybody knows, may do everything as tenant dev")
	}
	if _, err := fmt.Fprintf(p.stdout, "oncepay is ready on http://%s (store %s)\n", s.listener.Addr(), withoutPassword(cfg.store)); err != nil {
		return errors.Join(err, s.close(context.WithoutCancel(ctx)))
	}
	return s.answer(ctx)
}

// start opens the store and makes everything that answers from it. What it began
// is ended if it fails.
func (s *server) start(ctx context.Context, at place) (err error) {
	if s.store, err = at.open(ctx, true, s.log); err != nil {
		return err
	}
	s.at = at
	for _, part := range []func() error{func() error { return s.openCaution(ctx) }, s.openGateways, s.openSinks, s.openExecutor, s.openAPI, s.begin} {
		if err = part(); err != nil {
			return errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

func (s *server) openCaution(ctx context.Context) (err error) {
	s.caution, err = openCaution(ctx, s.store, s.log)
	return err
}

func (s *server) openGateways() (err error) {
	s.gateways, err = openGateways(s.cfg, s.at.books(), s.store.Secret(), s.listener.Addr(), s.log)
	return err
}

func (s *server) openSinks() (err error) {
	if s.sinks, err = openSinks(s.cfg, filepath.Dir(s.at.owned()), s.store, s.log); err != nil {
		return err
	}
	s.hooks = openHooks(s.cfg, s.store, s.log)
	s.sinks.relays[hooksName] = s.hooks.relay
	return nil
}

func (s *server) openExecutor() error {
	hook, err := phaseHook()
	if err != nil {
		return err
	}
	s.processor = processor.New(processor.Config{
		Store: s.store, Connectors: s.gateways.connectors, Exclusive: s.at.owned() != "", Forgot: s.caution.Forgot, Log: s.log,
	})
	s.executor = engine.New(s.store, engine.Config{
		Rules: s.rules, Since: s.store.Since(), Seed: id.Seed(), OnCommit: s.sinks.wakeAfter(hook), Render: web.RenderPayment, Act: s.processor.Act,
		MaxQueue: s.cfg.limits.queue, MaxTenantQueue: s.cfg.limits.tenantQueue, MaxWaiters: s.cfg.limits.waitersPerKey,
		Shared: s.at.owned() == "",
	})
	s.processor.Start(s.executor)
	return nil
}

func (s *server) openAPI() (err error) {
	s.api, err = web.New(web.Config{
		Executor: s.executor, Store: s.store, Secret: s.store.Secret(), Rules: s.rules, DevKey: s.devKey(), Payments: s.processor, Webhooks: s.hooks.face(),
		Stats: s.stats, Forgot: s.caution.Forgot, Rate: s.cfg.limits.rate, Burst: s.cfg.limits.burst, Log: s.log, Version: readBuild().Version,
	})
	if err == nil {
		s.http = web.NewServer(s.gateways.besides(s.api), s.log)
	}
	return err
}

func (s *server) devKey() string {
	if s.cfg.dev {
		return devKey
	}
	return ""
}

// rules are the rules of a tenant's keys.
func (s *server) rules(tenant string) once.Rules {
	return once.Rules{
		Window: s.cfg.window.length,
		Lease:  lease,
		ULID:   slices.Contains(s.cfg.ulidTenants, tenant),
	}
}

// lease is how long an operation that leaves the house may be unheard of.
const lease = 30 * time.Second

// begin starts what runs beside the requests.
func (s *server) begin() error {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if path := s.at.owned(); path != "" {
		socket, err := listenOwner(path)
		if err != nil {
			return err
		}
		d := &desk{store: s.store, executor: s.executor, gateways: s.processor, log: s.log}
		s.keeping.Go(func() { serveOwner(ctx, socket, s.store, d, s.log) })
	}
	s.keeping.Go(func() { s.caution.watch(ctx) })
	s.keeping.Go(func() { s.processor.Run(ctx) })
	s.sinks.start(ctx, s.keeping.Go)
	s.hooks.start(ctx, s.keeping.Go)
	s.keeping.Go(func() {
		s.executor.Keep(ctx, s.store, engine.UpkeepConfig{
			Tombstones: s.cfg.tombstones, Skew: s.cfg.window.Skew, Uptime: uptime, Log: s.log,
		})
	})
	return nil
}

// answer answers requests until ctx ends, then drains: it stops accepting, and
// gives what is in flight the time to finish. What gateways have not answered by
// then is written down, and checked at the next start.
func (s *server) answer(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(web.Limit(s.listener, s.cfg.limits.connections)) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("draining", "at_most", s.cfg.drain.String())
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.drain)
	defer cancel()
	s.api.Drain()
	if late := s.http.Shutdown(drain); late != nil {
		s.log.Warn("some requests were still waiting; they can be repeated", "err", late)
		s.http.Close()
	}
	if late := s.processor.Close(drain); late != nil {
		s.log.Warn("some payments are still at their gateway; they are checked at the next start", "err", late)
	}
	return errors.Join(err, s.close(context.WithoutCancel(ctx)))
}

// closeTime is how long commits may take that are on their way when nobody waits
// for their answers any more. It is not a part of the drain: a client that took
// all of that has done nothing to the store.
const closeTime = 2 * time.Second

// close ends what start began. What is committing is waited for.
func (s *server) close(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	if s.stop != nil {
		s.stop()
		s.keeping.Wait()
	}
	if s.executor != nil {
		err = s.executor.Close(ctx)
	}
	if s.gateways != nil {
		err = errors.Join(err, s.gateways.close())
	}
	if s.sinks != nil {
		err = errors.Join(err, s.sinks.close())
	}
	if s.hooks != nil {
		s.hooks.close()
	}
	return errors.Join(err, s.store.Close())
}
