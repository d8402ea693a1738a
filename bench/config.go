package bench

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Scenarios of a run.
const (
	Mixed = "mix"   // the requests of Config.Mix
	Storm = "storm" // one fresh key, sent on every connection at once
	Raw   = "raw"   // transfer bodies to any URL; answers are counted, not understood
)

// Forms of the idempotency keys.
const (
	UUIDv7 = "uuidv7" // time-ordered, as a store likes them
	Random = "random" // UUIDv4, as most clients send them
)

// Limits. Each keeps a mistyped number from becoming an outage of the client.
const (
	MaxConnections = 10_000    // a process may have 20,000 files on common systems, and both ends count
	MaxAccounts    = 100_000   // each is opened before and read after the run
	MaxBatch       = 1_000     // the server's own limit
	MaxRate        = 1_000_000 // beyond what one client can keep apart
	MaxRequests    = 1 << 40   // what the index of a transfer has room for
)

// Config says what to run. Only Target has no default.
type Config struct {
	// Target is the base URL of a running oncepay, http or https. In the Raw
	// scenario it is the very URL to post to.
	Target string

	// APIKey is sent as the bearer token. Defaults to sk_dev, the key of
	// `serve --dev`.
	APIKey string

	// Scenario is Mixed, Storm or Raw. Defaults to Mixed.
	Scenario string

	// Connections is how many requests may be on their way at once, 1 to
	// MaxConnections. Defaults to 64, and to 1,000 in a storm, where each
	// sends the key once.
	Connections int

	// Rate is the number of requests that become due each second (open loop).
	// The default, 0, sends the next request as soon as an answer has arrived
	// (closed loop). A storm has none.
	Rate float64

	// Duration is how long requests are started. Defaults to 10 seconds, or
	// to 10 minutes as a mere limit if Requests is given.
	Duration time.Duration

	// Requests ends the run after so many. The default, 0, leaves it to
	// Duration.
	Requests int64

	// Accounts is how many are opened for the run, 2 to MaxAccounts. Defaults
	// to 1,000.
	Accounts int

	// Mix is what is sent, in percent. Defaults to fresh transfers only.
	Mix Mix

	// BatchSize is the number of transfers in one batch, 1 to MaxBatch.
	// Defaults to 100.
	BatchSize int

	// Keys is UUIDv7 or Random. Defaults to UUIDv7.
	Keys string

	// Seed chooses which transfers are made; keys and account names are new
	// in every run. Any value will do, also 0.
	Seed uint64

	// RequestTimeout is how long an answer may take before its outcome is
	// unknown. Defaults to 10 seconds.
	RequestTimeout time.Duration

	// Audit asks the server afterwards for what it had answered.
	Audit bool
}

// Mix is the share of each kind of request, in percent. They add up to 100.
type Mix struct {
	Fresh     int `json:"fresh"`     // a new key between two of the accounts
	Duplicate int `json:"duplicate"` // a key and body that this run got an answer to
	Hot       int `json:"hot"`       // a new key, always from the first account
	Batch     int `json:"batch"`     // BatchSize new keys in one request
}

func (m Mix) sum() int { return m.Fresh + m.Duplicate + m.Hot + m.Batch }

func (c Config) withDefaults() Config {
	c.Scenario = cmp.Or(c.Scenario, Mixed)
	c.APIKey = cmp.Or(c.APIKey, "sk_dev")
	c.Accounts = cmp.Or(c.Accounts, 1_000)
	c.Mix = cmp.Or(c.Mix, Mix{Fresh: 100})
	c.BatchSize = cmp.Or(c.BatchSize, 100)
	c.Keys = cmp.Or(c.Keys, UUIDv7)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, 10*time.Second)
	if c.Scenario == Storm {
		c.Connections, c.Rate = cmp.Or(c.Connections, 1_000), 0
	}
	c.Connections = cmp.Or(c.Connections, 64)
	if c.Requests > 0 {
		c.Duration = cmp.Or(c.Duration, 10*time.Minute)
	}
	c.Duration = cmp.Or(c.Duration, 10*time.Second)
	return c
}

// Check says what is wrong with c and what to write instead, if anything. Run
// calls it; a command may call it earlier, to tell wrong usage from bad news.
func (c Config) Check() error {
	c = c.withDefaults()
	return errors.Join(
		checkTarget(c.Target),
		checkAPIKey(c.APIKey),
		oneOf("scenario", c.Scenario, Mixed, Storm, Raw),
		oneOf("keys", c.Keys, UUIDv7, Random),
		within("connections", c.Connections, 1, MaxConnections),
		within("accounts", c.Accounts, 2, MaxAccounts),
		within("batch size", c.BatchSize, 1, MaxBatch),
		within("rate", c.Rate, 0, MaxRate),
		within("requests", c.Requests, 0, MaxRequests),
		within("duration", c.Duration, time.Millisecond, 23*time.Hour), // keys must stay inside the window of a day
		within("request timeout", c.RequestTimeout, time.Millisecond, time.Hour),
		c.Mix.check(),
	)
}

func (m Mix) check() error {
	if min(m.Fresh, m.Duplicate, m.Hot, m.Batch) < 0 || m.sum() != 100 {
		return fmt.Errorf("bench: the mix %+v adds up to %d: give shares from 0 to 100 that add up to 100", m, m.sum())
	}
	return nil
}

func checkTarget(target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("bench: target %q is no URL of a server: give one such as http://127.0.0.1:8080", target)
	}
	return nil
}

func checkAPIKey(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("bench: the API key has characters that no header can carry: give it without spaces and line ends")
	}
	return nil
}

func oneOf(name, got string, allowed ...string) error {
	for _, a := range allowed {
		if got == a {
			return nil
		}
	}
	return fmt.Errorf("bench: %s is %q: give one of %q", name, got, allowed)
}

// within is written so that NaN is outside.
func within[T cmp.Ordered](name string, got, low, high T) error {
	if got >= low && got <= high {
		return nil
	}
	return fmt.Errorf("bench: %s is %v: give one from %v to %v", name, got, low, high)
}
