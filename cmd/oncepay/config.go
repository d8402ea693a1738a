package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/oncepay/oncepay/broker/kafka"
	"github.com/oncepay/oncepay/broker/nats"
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
	source      string      // what the source of every event begins with
	nats        nats.Config // URL "" is none, or one inside
	embedded    string      // where a NATS server inside listens; "" is none
	kafka       kafka.Config
	kafkaTLS    bool
	webhooks    webhooksConfig
	drain       time.Duration
	log         logConfig

	sources map[string]string // by key: where its value came from
}

// window is how long a key is remembered, and the parts that justify it.
type window struct {
	length time.Duration
	once.Window
}

// webhooksConfig is where webhooks may go.
type webhooksConfig struct {
	allow   []netip.Prefix // addresses that are not public, and may be sent to
	http    bool
	timeout time.Duration
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
		wrong = append(wrong, c.checkDev(), c.checkHostile(), c.checkWindow(), c.checkTombstones(), c.checkNATS(), c.checkKafka(), c.checkWebhooks())
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

// checkNATS refuses two servers at once, one that others could reach, and one inside of
// each of several processes: events would be with whichever relayed them.
func (c *config) checkNATS() error {
	switch at := c.sources["nats.embedded"]; {
	case c.embedded != "" && c.nats.URL != "":
		return fmt.Errorf("nats.embedded: %q from %s runs a server inside, and nats.url from %s names another: give one of them", c.embedded, at, c.sources["nats.url"])
	case c.embedded != "" && !isLoopback(c.embedded):
		return fmt.Errorf("nats.embedded: %q from %s is not loopback, and a server that asks nobody who they are listens on no other address", c.embedded, at)
	case c.embedded != "" && placeOf(c.store).owned() == "":
		return fmt.Errorf("nats.embedded: %q from %s runs a server inside of this process, and several may share the store %s: give nats.url", c.embedded, at, withoutPassword(c.store))
	case c.nats.MaxAge < c.nats.DedupWindow:
		return fmt.Errorf("nats.max_age: %s from %s is shorter than nats.dedup_window %s from %s, and an id is remembered no longer than its event",
			shortDuration(c.nats.MaxAge), c.sources["nats.max_age"], shortDuration(c.nats.DedupWindow), c.sources["nats.dedup_window"])
	}
	return nil
}

// checkKafka refuses half a login, and a password that anybody on the way could read.
func (c *config) checkKafka() error {
	l := c.kafka.Login
	switch at := c.sources["kafka.user"]; {
	case l == kafka.Login{Mechanism: l.Mechanism}: // nobody
		return nil
	case l.User == "" || l.PasswordFile == "":
		return errors.New("kafka.user and kafka.password_file: one of them is given, and a login needs both")
	case l.Mechanism == kafka.Plain && !c.kafkaTLS:
		return fmt.Errorf("kafka.user: %q from %s would log in by PLAIN without kafka.tls, and anybody on the way could read the password: say kafka.tls, or have kafka.mechanism be one of SCRAM", l.User, at)
	}
	return nil
}

// maxWebhookTimeout keeps an attempt well within the lease of its delivery.
const maxWebhookTimeout = 30 * time.Second

func (c *config) checkWebhooks() error {
	if c.webhooks.timeout <= maxWebhookTimeout {
		return nil
	}
	return fmt.Errorf("webhooks.timeout: %s from %s is longer than %s: an endpoint that takes longer should answer first, and work then",
		shortDuration(c.webhooks.timeout), c.sources["webhooks.timeout"], shortDuration(maxWebhookTimeout))
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
