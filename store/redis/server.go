package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// ErrEvicts means that a server drops keys when its memory is full, and what was dropped
// would run again.
var ErrEvicts = errors.New("redis: the server evicts keys")

// node is one server, and what it says of itself: nothing, where it may not be asked.
type node struct {
	addr   string
	client rueidis.Client
	info   map[string]string
	away   error // it did not answer
}

// nodes are all servers that are known, in the order of their addresses.
func (s *Store) nodes(ctx context.Context) (nodes []node) {
	for addr, client := range s.client.Nodes() {
		n := node{addr: addr, client: client}
		text, err := client.Do(ctx, client.B().Info().Build()).ToString()
		if _, refused := rueidis.IsRedisErr(err); err != nil && !refused {
			n.away = fmt.Errorf("redis: ask %s about itself: %w", addr, err)
		}
		n.info = parseInfo(text)
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.addr, b.addr) })
	return nodes
}

// primaries are the servers that take writes. It fails if a server does not say whether
// it is one.
func (s *Store) primaries(ctx context.Context) (primaries []node, err error) {
	for _, n := range s.nodes(ctx) {
		if n.away != nil {
			return nil, n.away
		}
		if n.info["role"] != "slave" {
			primaries = append(primaries, n)
		}
	}
	return primaries, nil
}

// parseInfo reads what INFO answers.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	return info
}

// oldest is the first version whose SET takes NX and GET together.
const oldest = 7

// check says why keys cannot be kept on a server.
func (n *node) check(cfg Config) error {
	version := n.info["redis_version"] // Valkey says there which Redis it is like
	if major, err := strconv.Atoi(strings.Split(version, ".")[0]); err == nil && major < oldest {
		return fmt.Errorf("redis: %s is version %s, and %d.0 is the first that will do", n.addr, version, oldest)
	}
	if policy := n.info["maxmemory_policy"]; policy != "" && policy != "noeviction" && !cfg.AllowEviction {
		return fmt.Errorf("%w: maxmemory-policy of %s is %s, so a key may be gone and run again; set it to noeviction, use a server of its own for keys, or set Config.AllowEviction if running again does no harm",
			ErrEvicts, n.addr, policy)
	}
	return nil
}

// warn logs what can be lost on a server that will do.
func (n *node) warn(ctx context.Context, log *slog.Logger) {
	if n.away != nil {
		log.Warn("redis: a server does not answer, and it is not known whether it will do", "server", n.addr, "err", n.away)
		return
	}
	switch policy := n.info["maxmemory_policy"]; policy {
	case "noeviction":
	case "":
		log.Warn("redis: the server may not be asked for its maxmemory-policy: it must be noeviction, or keys are lost and run again", "server", n.addr)
	default:
		log.Warn("redis: the server evicts keys, and what is evicted runs again", "server", n.addr, "maxmemory-policy", policy)
	}
	if loss := n.loss(ctx); loss != "" {
		log.Warn("redis: keys that were acknowledged can be lost, and would run again", "server", n.addr, "when", loss)
	}
}

// loss says what a server loses with its process, or with its machine.
func (n *node) loss(ctx context.Context) string {
	switch n.info["aof_enabled"] {
	case "":
		return "it restarts, unless it has appendonly yes: it may not be asked"
	case "0":
		return "it restarts (appendonly no)"
	}
	config, err := n.client.Do(ctx, n.client.B().ConfigGet().Parameter("appendfsync").Build()).AsStrMap()
	switch fsync := config["appendfsync"]; {
	case err != nil:
		return "its machine stops, unless it has appendfsync always: it may not be asked"
	case fsync != "always":
		return "its machine stops (appendfsync " + fsync + ")"
	}
	return ""
}
