package main

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/access"
	"github.com/oncepay/oncepay/broker/kafka"
)

// kind is how values of one sort are read and shown.
type kind[T any] struct {
	name  string                      // what a flag's help calls it; "bool" needs no value
	want  string                      // ends the sentence "VALUE is not …"
	list  bool                        // a file may give a list
	parse func(text string) (T, bool) // false if text is not what is wanted
	show  func(T) any                 // for people and for JSON; nil if T itself will do
}

var (
	address = kind[string]{
		name:  "host:port",
		want:  "HOST:PORT, such as 127.0.0.1:8080",
		parse: parseAddress,
	}
	storeURL = kind[string]{
		name:  "url",
		want:  "sqlite:PATH or postgres://USER@HOST/DATABASE, such as sqlite:./oncepay-data/oncepay.db",
		parse: parseStore,
		show:  func(s string) any { return withoutPassword(s) },
	}
	gatewayURL = kind[string]{
		name:  "url",
		want:  "the URL of a gateway, such as http://127.0.0.1:8070",
		parse: parseGatewayURL,
	}
	boolean = kind[bool]{
		name:  "bool",
		want:  "true or false",
		parse: func(s string) (bool, bool) { return s == "true", s == "true" || s == "false" },
	}
	tenants = kind[[]string]{
		name:  "names",
		want:  "names of tenants (1 to 64 of A-Z a-z 0-9 . _ -), separated by commas",
		list:  true,
		parse: parseTenants,
		show:  func(names []string) any { return append([]string{}, names...) }, // [] in JSON, never null
	}
	rate = kind[float64]{
		name: "number",
		want: "a number from 0 to 1000000",
		parse: func(s string) (float64, bool) {
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil && f >= 0 && f <= maxCount // NaN is neither
		},
	}
	level = kind[slog.Level]{
		name: "level",
		want: "debug, info, warn or error",
		parse: func(s string) (l slog.Level, ok bool) {
			ok = slices.Contains([]string{"debug", "info", "warn", "error"}, s)
			return l, ok && l.UnmarshalText([]byte(s)) == nil
		},
		show: func(l slog.Level) any { return strings.ToLower(l.String()) },
	}
	logFormat = kind[string]{
		name:  "form",
		want:  "auto, text or json",
		parse: func(s string) (string, bool) { return s, slices.Contains([]string{logAuto, logText, logJSON}, s) },
	}
)

// Kinds of what is about events.
var (
	uri = kind[string]{
		name:  "uri",
		want:  "a URI, or a path that begins with /, without a query, such as /oncepay or https://pay.example.com",
		parse: parseSource,
	}
	natsURL = kind[string]{
		name:  "url",
		want:  "nats://HOST:PORT or tls://HOST:PORT, or several of one cluster with commas between them",
		parse: parseNATS,
		show:  func(s string) any { return withoutPassword(s) },
	}
	natsAddress = kind[string]{
		name: "host:port",
		want: "an address and port of loopback, such as 127.0.0.1:4222",
		parse: func(s string) (string, bool) {
			return s, s == "" || isLoopback(s) && !strings.HasPrefix(s, "localhost")
		},
	}
	natsToken    = matching("name", "1 to 64 of A-Z a-z 0-9 _ -", `^[A-Za-z0-9_-]{1,64}$`)
	natsSubject  = matching("subject", "tokens of A-Z a-z 0-9 _ - with dots between them, such as oncepay.events", `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	path         = matching("file", "the path of a file", `^[^\x00]*$`)
	natsReplicas = kind[int]{
		name: "number",
		want: "1, 3 or 5",
		parse: func(s string) (int, bool) {
			n, err := strconv.Atoi(s)
			return n, err == nil && slices.Contains([]int{1, 3, 5}, n)
		},
	}
)

// Kinds of what is about Kafka.
var (
	kafkaBrokers = kind[[]string]{
		name: "host:port",
		want: "HOST:PORT of some servers, with commas between them",
		list: true,
		parse: func(s string) (all []string, ok bool) {
			for one := range strings.SplitSeq(s, ",") {
				if one = strings.TrimSpace(one); one == "" {
					continue
				}
				host, port, err := net.SplitHostPort(one)
				if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" {
					return nil, false
				}
				all = append(all, one)
			}
			return all, true
		},
		show: func(all []string) any { return strings.Join(all, ",") },
	}
	kafkaTopic     = matching("topic", "1 to 249 of A-Z a-z 0-9 . _ -, and neither . nor ..", `^(?:[A-Za-z0-9._-]{3,249}|[A-Za-z0-9_-]{1,2}|\.[A-Za-z0-9_-]|[A-Za-z0-9_-]\.)$`)
	kafkaMechanism = kind[string]{
		name:  "mechanism",
		want:  strings.Join(kafka.Mechanisms, ", "),
		parse: func(s string) (string, bool) { return s, slices.Contains(kafka.Mechanisms, s) },
	}
)

// prefixes are networks; one address is one, too.
var prefixes = kind[[]netip.Prefix]{
	name: "networks",
	want: "networks or addresses with commas between them, such as 10.0.0.0/8 or fd00::1",
	list: true,
	parse: func(s string) (all []netip.Prefix, ok bool) {
		for one := range strings.SplitSeq(s, ",") {
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			p, err := netip.ParsePrefix(one)
			if a, bad := netip.ParseAddr(one); bad == nil && a.Zone() == "" {
				p, err = a.Prefix(a.BitLen())
			}
			if err != nil {
				return nil, false
			}
			all = append(all, p.Masked())
		}
		return all, true
	},
	show: func(all []netip.Prefix) any {
		var texts []string
		for _, p := range all {
			texts = append(texts, p.String())
		}
		return texts
	},
}

// matching is a text of a form.
func matching(name, want, form string) kind[string] {
	is := regexp.MustCompile(form)
	return kind[string]{name: name, want: want, parse: func(s string) (string, bool) { return s, is.MatchString(s) }}
}

// parseSource reads the first part of the source of events.
func parseSource(s string) (string, bool) {
	u, err := url.Parse(s)
	return s, err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		(strings.HasPrefix(s, "/") || u.Scheme != "") && !strings.ContainsAny(s, " \t\r\n?#")
}

// parseNATS reads the URLs of servers; the empty text is none.
func parseNATS(s string) (string, bool) {
	if s == "" {
		return s, true
	}
	for one := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || (u.Scheme != "nats" && u.Scheme != "tls") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return "", false
		}
	}
	return s, true
}

// bytesOf is a size in memory.
var bytesOf = kind[int64]{
	name:  "size",
	want:  "0, or a size from 64MiB to 1024GiB, such as 420MiB or 2GiB",
	parse: parseBytes,
	show:  func(n int64) any { return shortBytes(n) },
}

const (
	mebi = 1 << 20
	gibi = 1 << 30
)

func parseBytes(s string) (int64, bool) {
	if s == "0" {
		return 0, true
	}
	for suffix, unit := range map[string]int64{"MiB": mebi, "GiB": gibi} {
		if number, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.ParseInt(number, 10, 32)
			return n * unit, err == nil && n*unit >= 64*mebi && n*unit <= 1024*gibi
		}
	}
	return 0, false
}

// shortBytes is a size as a person would write it.
func shortBytes(n int64) string {
	switch {
	case n == 0:
		return "0"
	case n%gibi == 0:
		return strconv.FormatInt(n/gibi, 10) + "GiB"
	default:
		return strconv.FormatInt(n/mebi, 10) + "MiB"
	}
}

// Limits. Each keeps a mistyped number from becoming an outage.
const (
	maxCount    = 1_000_000                 // of requests or connections: more does not fit one process
	maxDuration = 10 * 365 * 24 * time.Hour // sums of several stay far from overflow
)

// count is a whole number from least to maxCount.
func count(least int) kind[int] { return countUpTo(least, maxCount) }

// countUpTo is a whole number within bounds.
func countUpTo(least, most int) kind[int] {
	return kind[int]{
		name: "number",
		want: "a whole number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most),
		parse: func(s string) (int, bool) {
			n, err := strconv.Atoi(s)
			return n, err == nil && n >= least && n <= most
		},
	}
}

// duration is a time span from least to maxDuration, in Go's syntax or in days.
func duration(least time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		name: "duration",
		want: "a duration from " + shortDuration(least) + " to " + shortDuration(maxDuration) + ", such as 30s, 12h or 400d",
		parse: func(s string) (time.Duration, bool) {
			d, ok := parseDuration(s)
			return d, ok && d >= least && d <= maxDuration
		},
		show: func(d time.Duration) any { return shortDuration(d) },
	}
}

var days = regexp.MustCompile(`^([0-9]{1,5})d(.*)$`) // five digits cannot overflow

// parseDuration reads what [time.ParseDuration] reads, and whole days before it.
func parseDuration(s string) (time.Duration, bool) {
	if m := days.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits only
		rest, ok := time.Duration(0), true
		if m[2] != "" {
			rest, ok = parseDuration(m[2])
		}
		return time.Duration(n)*24*time.Hour + rest, ok && rest >= 0
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// shortDuration is d as a person would write it: 24h and 400d, not 24h0m0s.
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseAddress checks the form only: a host that does not exist is found when
// it is listened on.
func parseAddress(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return s, err == nil && portErr == nil && !strings.ContainsAny(host, " \t\r\n/@")
}

func parseStore(s string) (string, bool) {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		return s, path != ""
	}
	u, err := url.Parse(s)
	return s, err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql")
}

// parseGatewayURL reads a URL without a path; the empty text is none.
func parseGatewayURL(s string) (string, bool) {
	u, err := url.Parse(s)
	ok := s == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
	return strings.TrimRight(s, "/"), ok
}

func parseTenants(s string) ([]string, bool) {
	var names []string
	if s == "" {
		return nil, true
	}
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if access.CheckTenant(name) != nil {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

var (
	password = regexp.MustCompile(`(://[^/@:]*:).*(@)|((?i:password=)).*`)
	natsUser = regexp.MustCompile(`((?:nats|tls)://)[^/@,]*@`) // it may be a token
)

// withoutPassword is text, which may be a URL of a store or of NATS servers, as it may be shown: a
// password is hidden in each of the places where PostgreSQL takes one, and all that NATS
// knows a user by.
func withoutPassword(text string) string {
	return password.ReplaceAllString(natsUser.ReplaceAllString(text, "$1…@"), "$1$3…$2")
}
