package outbound

import "net/netip"

// reserved are addresses that lead to no public host, as the registries of special-purpose
// addresses have them (RFC 6890, https://www.iana.org/assignments/iana-ipv4-special-registry
// and iana-ipv6-special-registry). Of IPv6 they are those within global.
var reserved = prefixes(
	"0.0.0.0/8",         // this network; 0.0.0.0 connects to this machine
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared by carriers, and by clouds for their metadata
	"127.0.0.0/8",       // this machine
	"169.254.0.0/16",    // link-local, and the metadata of clouds
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments, and Oracle's metadata
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // relays of 6to4, given up
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"168.63.129.16/32",  // Azure answers every machine there from itself
	"2001::/23",         // protocol assignments: Teredo with an IPv4 address in it, benchmarks, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: an IPv4 address in it
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// IsPublic says whether an address is one of the public Internet. An IPv4 address in IPv6 is
// taken for what it is.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	if a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// global is the part of IPv6 that public addresses are given out from (RFC 4291). Outside of it are
// this machine, private and link-local networks, multicast, and most forms that hide an IPv4 address.
var global = netip.MustParsePrefix("2000::/3")
