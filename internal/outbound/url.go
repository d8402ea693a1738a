package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxURL is how long a URL may be, in bytes: what proxies and servers take.
const MaxURL = 2048

// Rules say which URLs are taken. The zero value takes those of public hosts by https.
type Rules struct {
	HTTP  bool           // http is good enough, too
	Allow []netip.Prefix // addresses that may stand in a URL though they are not public
}

// Check says what is wrong with a URL that messages should be sent to, in words for whoever
// gave it; nil if it can be tried. What a name leads to is not looked up here: it is
// looked at whenever somebody connects.
func (r Rules) Check(raw string) error {
	switch {
	case raw == "":
		return errors.New("is empty")
	case len(raw) > MaxURL:
		return fmt.Errorf("is longer than %d characters", MaxURL)
	case strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return errors.New("has a character that is not visible ASCII: write names of other scripts in Punycode, and percent-encode the rest")
	case strings.Contains(raw, `\`):
		return errors.New("has a backslash, which readers of URLs do not agree on")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is no URL")
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !r.HTTP):
		if r.HTTP {
			return errors.New("must begin with https:// or http://")
		}
		return errors.New("must begin with https://")
	case u.Opaque != "" || u.Host == "":
		return errors.New("names no host")
	case u.User != nil:
		return errors.New("has a user name in it: those who see the URL would see it; tell our messages by their signatures")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return errors.New("has a fragment, which is never sent")
	}
	if err := checkPort(u); err != nil {
		return err
	}
	return r.checkHost(u.Hostname(), strings.HasPrefix(u.Host, "["))
}

func checkPort(u *url.URL) error {
	if _, port, found := strings.Cut(strings.TrimPrefix(u.Host, "["+u.Hostname()+"]"), ":"); found {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has a port that is none of 1 to 65535")
		}
	}
	return nil
}

// checkHost takes names as they stand in DNS, and addresses in their usual form: all other
// forms are ways around a check.
func (r Rules) checkHost(host string, bracketed bool) error {
	if bracketed || strings.Contains(host, ":") {
		return r.checkAddress(host)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(name, ".")
	if last := labels[len(labels)-1]; looksLikeNumber(last) { // no top-level domain does
		return r.checkAddress(name)
	}
	if len(name) > 253 {
		return errors.New("names a host by more than 253 characters, which DNS cannot hold")
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, letters) != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return errors.New("names a host that cannot be in DNS")
		}
	}
	if local := labels[len(labels)-1]; !r.anyLocal() && (len(labels) == 1 || localNames[local]) {
		return errors.New("names a host of a network that is not public")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_"

// localNames are top-level domains that never lead out (RFC 6761, 6762, 8375, 9476, and ICANN's
// .internal).
var localNames = map[string]bool{
	"localhost": true, "local": true, "internal": true, "intranet": true, "lan": true, "home": true, "corp": true,
	"localdomain": true, "arpa": true, "invalid": true, "test": true, "example": true, "onion": true, "alt": true,
}

// anyLocal says whether there are addresses that are allowed: then they may have names.
func (r Rules) anyLocal() bool { return len(r.Allow) > 0 }

// looksLikeNumber says whether readers of URLs may take a label for a number: in decimal,
// octal or hexadecimal (WHATWG URL, "ends in a number").
func looksLikeNumber(label string) bool {
	if label == "" {
		return false
	}
	if hex, found := strings.CutPrefix(label, "0x"); found {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func (r Rules) checkAddress(host string) error {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return errors.New("names a host by a number that is no usual IP address")
	}
	if c := (Config{Allow: r.Allow}); !c.allows(a) {
		return errors.New("names an address that is not public")
	}
	return nil
}
