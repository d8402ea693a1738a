package main

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/oncepay/oncepay/delivery"
	"github.com/oncepay/oncepay/internal/outbound"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/web"
)

// hooksName is what the cursor of webhooks is kept under.
const hooksName = "webhooks"

// hooks are events on their way to the endpoints of tenants.
type hooks struct {
	store   store
	secrets delivery.Secrets
	urls    outbound.Rules
	client  *outbound.Client
	courier *delivery.Courier
	fanOut  *delivery.FanOut
	relay   *outbox.Relay
	wanted  chan struct{} // somebody may have an endpoint
	log     *slog.Logger
}

// thisMachine are the addresses that a server for development may send webhooks to.
var thisMachine = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func openHooks(cfg config, s store, log *slog.Logger) *hooks {
	h := &hooks{store: s, secrets: delivery.NewSecrets(s.Secret()), wanted: make(chan struct{}, 1), log: log}
	h.urls = outbound.Rules{HTTP: cfg.webhooks.http, Allow: cfg.webhooks.allow}
	if cfg.dev {
		h.urls = outbound.Rules{HTTP: true, Allow: append(thisMachine[:len(thisMachine):len(thisMachine)], cfg.webhooks.allow...)}
	}
	h.client = outbound.New(outbound.Config{Allow: h.urls.Allow, Timeout: cfg.webhooks.timeout})
	h.courier = delivery.New(delivery.Config{Store: s, Client: h.client, Secrets: h.secrets, Source: cfg.source, Log: log})
	h.fanOut = delivery.NewFanOut(s, h.courier.Wake)
	h.relay = newRelay(cfg, hooksName, s, h.fanOut, log)
	return h
}

// face is what the API has of it.
func (h *hooks) face() *web.Webhooks {
	return &web.Webhooks{Store: h.store, Secrets: h.secrets, URLs: h.urls, Wake: h.wake}
}

func (h *hooks) wake() {
	h.courier.Wake()
	select {
	case h.wanted <- struct{}{}:
	default: // somebody has
	}
}

// start sends webhooks until ctx ends, in goroutines that begin makes. Events are read from the
// moment on at which somebody has an endpoint: who needs none pays nothing for them.
func (h *hooks) start(ctx context.Context, begin func(func())) {
	begin(func() {
		if h.await(ctx) {
			begin(func() { h.courier.Run(ctx) })
			h.relay.Run(ctx)
		}
	})
}

// await waits until there is an endpoint: this server is woken, others look.
func (h *hooks) await(ctx context.Context) bool {
	for {
		found, err := h.store.AnyEndpoint(ctx)
		switch {
		case found:
			return true
		case err != nil && ctx.Err() == nil:
			h.log.Warn("whether there are webhook endpoints could not be read; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-h.wanted:
		case <-time.After(idlePoll):
		}
	}
}

// close gives connections up. Nothing is relayed any more.
func (h *hooks) close() {
	h.fanOut.Close()
	h.client.Close()
}

// stats are what was delivered by this server, and what waits.
func (h *hooks) stats() []web.Stat {
	n := h.courier.Stats()
	all := []web.Stat{
		{Name: "webhooks_delivered_total", Help: "Webhooks that an endpoint took.", Value: float64(n.Delivered)},
		{Name: "webhooks_failed_total", Help: "Attempts that no endpoint took.", Value: float64(n.Failed)},
		{Name: "webhooks_dead_total", Help: "Webhooks that were given up.", Value: float64(n.Dead)},
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	oldest, err := h.store.OldestPending(ctx)
	if err != nil {
		h.log.Warn("for how long webhooks have waited could not be read, and is not in /metrics", "err", err)
		return all
	}
	waited := 0.0
	if !oldest.IsZero() {
		waited = max(0, time.Since(oldest).Seconds())
	}
	return append(all, web.Stat{Name: "webhooks_oldest_pending_seconds", Help: "For how long a webhook has waited at an enabled endpoint; 0: none does.", Value: waited})
}
