package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/oncepay/oncepay/once"
)

// config is the configuration of a server, complete and checked. keys says
// what each value means and what it may be.
type config struct {
	addr        string
	store       string
	dev         bool
	sandbox     string // URL of the sandbox gateway; "" is none, or one inside with dev
	hostile     bool
	window      window
	tombstones  time.Duration
	ulidTenants []string
	limits      limits
	drain       time.Duration
	log         logConfig

	sources map[string]string // by key: where its value came from
}

// window is how long a key is remembered, and the parts that justify it.
type window struct {
	length time.Duration
	once.Window
}

// limits are the bounds on what comes in.
type limits struct {
	queue         int
	tenantQueue   int
	waitersPerKey int
	connections   int
	rate          float64 // requests per second and tenant; 0 is no limit
	burst         int     // 0 is one second's worth of rate
	inFlight      int
	memory        int64 // bytes; 0 is no limit
}

// resolve gives each key the value of the first layer that has one. It returns
// every wrong value at once, so that a file is mended in one go.
func resolve(layers []layer) (config, error) {
	c := config{sources: map[string]string{}}
	var wrong []error
	for _, k := range keys() {
		for _, l := range layers {
			value, ok := l.values[k.name]
			if !ok {
				continue
			}
			c.sources[k.name] = l.source(k)
			if !k.set(&c, value) {
				wrong = append(wrong, k.wrong(value, l.source(k)))
			}
			break
		}
	}
	if wrong == nil {
		wrong = append(wrong, c.checkDev(), c.checkHostile(), c.checkWindow(), c.checkTombstones())
	}
	return c, errors.Join(wrong...)
}

// checkDev keeps the key that everybody knows off the network.
func (c *config) checkDev() error {
	if !c.dev || isLoopback(c.addr) {
		return nil
	}
	return fmt.Errorf("addr: %q from %s is not loopback, and dev (from %s) accepts the API key sk_dev, which everybody knows: "+
		"listen on 127.0.0.1, or leave dev out and make a key with `oncepay apikey create`",
		c.addr, c.sources["addr"], c.sources["dev"])
}

// checkHostile refuses what would do nothing: a sandbox of its own is told itself
// to be hostile.
func (c *config) checkHostile() error {
	if !c.hostile || c.dev && c.sandbox == "" {
		return nil
	}
	return fmt.Errorf("sandbox_hostile: true from %s is about the sandbox inside, which runs with dev and without sandbox; "+
		"for a process of its own say `oncepay sandbox --hostile`", c.sources["sandbox_hostile"])
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkWindow refuses a window in which a retry could come too late and be
// executed again.
func (c *config) checkWindow() error {
	w := c.window
	if w.Check(w.length) == nil {
		return nil
	}
	return fmt.Errorf("window.length: %s from %s is shorter than retry_horizon %s + partition %s + skew %s + margin %s = %s, "+
		"so a late retry would be executed again: make it at least that",
		shortDuration(w.length), c.sources["window.length"], shortDuration(w.RetryHorizon), shortDuration(w.Partition),
		shortDuration(w.Skew), shortDuration(w.Margin), shortDuration(w.Min()))
}

// checkTombstones refuses to forget a key as soon as its window is over: then a
// late retry would be executed again, and not refused.
func (c *config) checkTombstones() error {
	if c.tombstones > c.window.length {
		return nil
	}
	return fmt.Errorf("tombstones: %s from %s is not longer than window.length %s from %s, so a retry after the window "+
		"would be executed again, not refused: make it longer, by far",
		shortDuration(c.tombstones), c.sources["tombstones"], shortDuration(c.window.length), c.sources["window.length"])
}
