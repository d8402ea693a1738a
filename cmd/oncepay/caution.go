package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/web"
)

// caution knows until when the store may have lost commits. While that is no time at
// all, all is well.
type caution struct {
	store engine.Lineage
	log   *slog.Logger
	micro atomic.Int64
}

// cautionEvery is how often the store is asked. Nothing new can be lost while it is open;
// what is looked for is the operator's word that it is over, and, where nothing else is
// to do, whether this process is still one of the store's.
const cautionEvery = 2 * time.Second

// openCaution asks the store for the first time.
func openCaution(ctx context.Context, store engine.Lineage, log *slog.Logger) (*caution, error) {
	c := &caution{store: store, log: log}
	return c, c.look(ctx)
}

func (c *caution) look(ctx context.Context) error {
	until, err := c.store.Forgot(ctx)
	if err != nil {
		return err
	}
	micro := int64(0)
	if !until.IsZero() {
		micro = until.UnixMicro()
	}
	switch before := c.micro.Swap(micro); {
	case before == micro:
	case micro == 0:
		c.log.Info("an operator has ended the recovery: payments are taken as ever")
	default:
		c.log.Warn("recovery: the store may have lost commits, so nothing is begun that may have been begun before; see `oncepay recovery status`", "before", until)
	}
	return nil
}

// Forgot is what the store said last: zero is nothing.
func (c *caution) Forgot() time.Time {
	if micro := c.micro.Load(); micro != 0 {
		return time.UnixMicro(micro).UTC()
	}
	return time.Time{}
}

// watch asks the store until ctx ends. While it does not answer, what it said last holds:
// it is taken back by nothing but its word.
func (c *caution) watch(ctx context.Context) {
	for tick := time.NewTicker(cautionEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.log.Debug("the store was not asked whether it has lost anything", "err", err)
		}
	}
}

// stat is for /metrics.
func (c *caution) stat() web.Stat {
	s := web.Stat{Name: "recovery", Help: "1 while the store may have lost commits, and nothing is begun that may have been begun before."}
	if !c.Forgot().IsZero() {
		s.Value = 1
	}
	return s
}
