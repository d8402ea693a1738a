package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/web"
)

// key is one value of the configuration: all that the file, the environment,
// the flags, the help and the guide know of it.
type key struct {
	name string // in the file; a dot is a level of nesting
	def  string // as a user would write it
	help string // what it is, with its reason
	kind string
	want string
	list bool

	set func(*config, string) bool // false if the text is not what is wanted
	get func(*config) any          // as it may be shown: passwords are hidden
}

// keys is the whole configuration. A row here is a member of the file, a
// variable, a flag and a line of docs/guides/configuration.md.
func keys() []key {
	return []key{
		row("addr", "127.0.0.1:8080", address, func(c *config) *string { return &c.addr },
			"where to listen; loopback until you decide otherwise"),
		row("store", "sqlite:./oncepay-data/oncepay.db", storeURL, func(c *config) *string { return &c.store },
			"where money and keys are kept: one file that one process owns, or a PostgreSQL database that any number share"),
		row("dev", "false", boolean, func(c *config) *bool { return &c.dev },
			"to try things out: accepts the API key sk_dev, which everybody knows, and so listens on loopback only"),
		row("sandbox", "", gatewayURL, func(c *config) *string { return &c.sandbox },
			"a sandbox gateway that runs as a process of its own (oncepay sandbox); with dev, and without this, one runs inside"),
		row("sandbox_hostile", "false", boolean, func(c *config) *bool { return &c.hostile },
			"with dev: the sandbox inside is not idempotent, every send is one more charge, and its declared contract says so"),

		row("window.length", "24h", duration(time.Second), func(c *config) *time.Duration { return &c.window.length },
			"how long a key is remembered and its answer replayed; at least the sum of the four below, or a late retry would run again"),
		row("window.retry_horizon", "12h", duration(0), func(c *config) *time.Duration { return &c.window.RetryHorizon },
			"how long the most patient client keeps retrying"),
		row("window.partition", "4h", duration(0), func(c *config) *time.Duration { return &c.window.Partition },
			"the longest outage that a request can sit out in somebody's queue"),
		row("window.skew", "5m", duration(0), func(c *config) *time.Duration { return &c.window.Skew },
			"how far apart clocks may be"),
		row("window.margin", "1h", duration(0), func(c *config) *time.Duration { return &c.window.Margin },
			"for what nobody thought of"),
		row("tombstones", "400d", duration(time.Second), func(c *config) *time.Duration { return &c.tombstones },
			"how long a key that is out of its window is refused (key_expired) and not taken for a new one"),
		row("ulid_tenants", "", tenants, func(c *config) *[]string { return &c.ulidTenants },
			"tenants whose keys are ULIDs: such a key tells its age, and is refused when it is older than the window even if it was never seen"),

		row("limits.queue", "16384", count(1), func(c *config) *int { return &c.limits.queue },
			"requests that wait for a commit; more get 503 before anything begins, since a long queue only makes everybody late"),
		row("limits.tenant_queue", "8192", count(1), func(c *config) *int { return &c.limits.tenantQueue },
			"how many of them one tenant may have, so that its burst leaves room for the others"),
		row("limits.waiters_per_key", "10000", count(1), func(c *config) *int { return &c.limits.waitersPerKey },
			"duplicates that wait for the answer to one key; more get 409 in_progress at once"),
		row("limits.connections", strconv.Itoa(web.MaxConnections), count(1), func(c *config) *int { return &c.limits.connections },
			"open client connections; each is an open file, of which the system gives a process only so many"),
		row("limits.rate", "0", rate, func(c *config) *float64 { return &c.limits.rate },
			"requests per second and tenant; more get 429; 0 is no limit"),
		row("limits.burst", "0", count(0), func(c *config) *int { return &c.limits.burst },
			"requests that a tenant may send at once before limits.rate slows it down; 0 is as many as one second allows"),
		row("limits.in_flight", "10000", count(1), func(c *config) *int { return &c.limits.inFlight },
			"operations that wait for a gateway's answer; more payments get 503 before anything begins, since each holds a connection"),
		row("limits.memory", "400MiB", bytesOf, func(c *config) *int64 { return &c.limits.memory },
			"of Go's heap and stacks, beside about 70 MiB of the store's: near it, garbage is collected harder; it refuses nothing; 0 is no limit, and GOMEMLIMIT beats it"),

		row("events.source", outbox.DefaultSource, uri, func(c *config) *string { return &c.source },
			"what the source of every event that leaves begins with: a URI of this installation, so that consumers can tell two apart"),
		row("nats.url", "", natsURL, func(c *config) *string { return &c.nats.URL },
			"publish events to the JetStream of these NATS servers; none unless given"),
		row("nats.embedded", "", natsAddress, func(c *config) *string { return &c.embedded },
			"run a NATS server inside, on this address of loopback, which syncs every message before it acknowledges it, and publish events to it; its data is beside the store"),
		row("nats.credentials", "", path, func(c *config) *string { return &c.nats.Credentials },
			"a file with the user's JWT and key, as the tools of NATS write it (.creds)"),
		row("nats.stream", "ONCEPAY", natsToken, func(c *config) *string { return &c.nats.Stream },
			"the stream that keeps the events; it is made if there is none, with the values below, and one that is there is left as it is"),
		row("nats.subject", "oncepay.events", natsSubject, func(c *config) *string { return &c.nats.Prefix },
			"what subjects begin with; the tenant and the type follow, as in oncepay.events.acme.payment.succeeded"),
		row("nats.dedup_window", "10m", duration(100*time.Millisecond), func(c *config) *time.Duration { return &c.nats.DedupWindow },
			"for how long the stream remembers ids and leaves out repeats: longer than a process takes to be started again; about 100 bytes of the server's memory for each event"),
		row("nats.max_age", "7d", duration(time.Minute), func(c *config) *time.Duration { return &c.nats.MaxAge },
			"how long the stream keeps events; older ones can be replayed from the store"),
		row("nats.replicas", "1", natsReplicas, func(c *config) *int { return &c.nats.Replicas },
			"on how many servers of a cluster the stream is kept"),

		row("kafka.brokers", "", kafkaBrokers, func(c *config) *[]string { return &c.kafka.Brokers },
			"publish events to the Kafka cluster that these servers are of; none unless given"),
		row("kafka.topic", "oncepay.events", kafkaTopic, func(c *config) *string { return &c.kafka.Topic },
			"where events go; it is made if there is none, with the values below, and one that is there is left as it is"),
		row("kafka.partitions", "12", countUpTo(1, 10_000), func(c *config) *int { return &c.kafka.Partitions },
			"of a topic that is made: as many consumers can share the work; to add some later breaks the order of subjects"),
		row("kafka.replicas", "0", countUpTo(0, 32), func(c *config) *int { return &c.kafka.Replicas },
			"on how many servers a topic that is made keeps each event; with 3 or more, two have it before it counts as published; 0 is what the cluster does by default"),
		row("kafka.max_age", "7d", duration(time.Minute), func(c *config) *time.Duration { return &c.kafka.MaxAge },
			"how long a topic that is made keeps events; older ones can be replayed from the store"),
		row("kafka.tls", "false", boolean, func(c *config) *bool { return &c.kafkaTLS },
			"connect by TLS, to servers whose certificates the system trusts"),
		row("kafka.mechanism", "SCRAM-SHA-512", kafkaMechanism, func(c *config) *string { return &c.kafka.Login.Mechanism },
			"how to log in (SASL), if there is a user"),
		row("kafka.user", "", path, func(c *config) *string { return &c.kafka.Login.User },
			"as whom to log in; nobody unless given"),
		row("kafka.password_file", "", path, func(c *config) *string { return &c.kafka.Login.PasswordFile },
			"a file with that user's password; it is read at each connection"),

		row("webhooks.allow", "", prefixes, func(c *config) *[]netip.Prefix { return &c.webhooks.allow },
			"addresses that webhooks may be sent to though they are not public, such as those of your own services; with dev this machine's are, too. All others are refused when they are connected to"),
		row("webhooks.http", "false", boolean, func(c *config) *bool { return &c.webhooks.http },
			"take http:// for webhooks, too: what is sent can be read on the way, and who answers may be anybody; with dev it is taken"),
		row("webhooks.timeout", "15s", duration(time.Second), func(c *config) *time.Duration { return &c.webhooks.timeout },
			"how long an endpoint may take to answer a webhook; at most 30s"),

		row("drain", "10s", duration(0), func(c *config) *time.Duration { return &c.drain },
			"how long requests in flight may take after SIGTERM; what is not done by then is recovered at the next start"),
		row("log.level", "info", level, func(c *config) *slog.Level { return &c.log.level },
			"the least important lines to log: debug, info, warn or error"),
		row("log.format", logAuto, logFormat, func(c *config) *string { return &c.log.format },
			"how to log to stderr: text, json, or auto, which is text on a terminal and json elsewhere"),
	}
}

// row makes a key of the kind k, kept in the field that at points to.
func row[T any](name, def string, k kind[T], at func(*config) *T, help string) key {
	return key{
		name: name, def: def, help: help, kind: k.name, want: k.want, list: k.list,
		set: func(c *config, text string) bool {
			v, ok := k.parse(text)
			*at(c) = v
			return ok
		},
		get: func(c *config) any {
			if k.show == nil {
				return *at(c)
			}
			return k.show(*at(c))
		},
	}
}

// findKey returns the first key that is the one.
func findKey(is func(key) bool) (key, bool) {
	all := keys()
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return key{}, false
}

const envPrefix = "ONCEPAY_"

// env is the key's variable: ONCEPAY_WINDOW_RETRY_HORIZON.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// flag is the key's flag, without its dashes: window-retry-horizon.
func (k key) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }

// wrong says that a value is not what the key wants, and where it came from.
func (k key) wrong(value, source string) error {
	return fmt.Errorf("%s: %q from %s is not %s", k.name, withoutPassword(value), source, k.want)
}
