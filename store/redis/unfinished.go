package redis

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
)

// What one call of Unfinished looks at, at most: some 10 ms of the server's time, in
// pieces.
const (
	scanCount = 512 // keys in a piece
	scanMost  = 20  // pieces
)

// Unfinished is once.Lister's. It looks at every key of the database, also at those that
// are finished, and at others than this store's: n keys take about n microseconds of the
// server's time, a piece at a time, over as many calls as that needs. If a server of a
// Cluster is replaced meanwhile it begins again, and shows some a second time; keys whose
// slot is moved meanwhile may be missed.
func (s *Store) Unfinished(ctx context.Context, after string, limit int) (found []once.Record, next string, err error) {
	primaries, err := s.primaries(ctx)
	if err != nil {
		return nil, "", err
	}
	at, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	if among := membership(primaries); at.among != among {
		at = cursor{among: among}
	}
	for range scanMost {
		if at.node >= len(primaries) {
			return found, "", nil
		}
		if len(found) >= limit {
			break
		}
		piece, scan, err := s.scan(ctx, primaries[at.node], at.scan, limit)
		if err != nil {
			return nil, "", err
		}
		found = append(found, at.take(piece, scan, limit-len(found))...)
	}
	return found, at.String(), nil
}

// scan looks at one piece of a server's keys, and returns those that are unfinished.
func (s *Store) scan(ctx context.Context, n node, from uint64, limit int) (piece []once.Record, next uint64, err error) {
	count := min(max(1, limit/4), scanCount) // so that a piece seldom has more than what is wanted
	page, err := n.client.Do(ctx, n.client.B().Scan().Cursor(from).Match(s.names.pattern()).Count(int64(count)).Build()).AsScanEntry()
	if err != nil {
		return nil, 0, fmt.Errorf("redis: list keys of %s: %w", n.addr, err)
	}
	open, err := s.open(ctx, page.Elements)
	if err != nil {
		return nil, 0, err
	}
	for i, answer := range s.each(ctx, open, func(name string) rueidis.Completed { return s.client.B().Get().Key(name).Build() }) {
		r, listed, err := s.listed(open[i], answer)
		if err != nil {
			return nil, 0, err
		}
		if listed {
			piece = append(piece, r)
		}
	}
	return piece, page.Cursor, nil
}

// open are the names of those that are unfinished: only the beginnings of their values
// are read, since answers may be large.
func (s *Store) open(ctx context.Context, found []string) (open []string, err error) {
	for i, answer := range s.each(ctx, found, func(name string) rueidis.Completed {
		return s.client.B().Getrange().Key(name).Start(0).End(int64(headLen) - 1).Build()
	}) {
		head, err := answer.ToString()
		if _, refused := rueidis.IsRedisErr(err); err != nil && !refused {
			return nil, fmt.Errorf("redis: list keys: %w", err)
		}
		switch state, marked := stateOf(head); {
		case err == nil && head == "": // it is gone
		case err != nil || !marked:
			s.cfg.Log.Warn("redis: a key that is not ours has a name like ours", "name", found[i], "err", err)
		case state == once.Claimed || state == once.Unknown:
			open = append(open, found[i])
		}
	}
	return open, nil
}

// each asks something about each name, in one round trip to each server.
func (s *Store) each(ctx context.Context, names []string, ask func(string) rueidis.Completed) []rueidis.RedisResult {
	cmds := make([]rueidis.Completed, len(names))
	for i, name := range names {
		cmds[i] = ask(name)
	}
	return s.client.DoMulti(ctx, cmds...)
}

// listed reads what was unfinished a moment ago, and says whether it still is.
func (s *Store) listed(name string, answer rueidis.RedisResult) (r once.Record, listed bool, err error) {
	v, err := answer.ToString()
	if rueidis.IsRedisNil(err) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("redis: list keys: %w", err)
	}
	k, ours := s.names.key(name)
	if r, err = parse(k, v); err != nil || !ours {
		s.cfg.Log.Warn("redis: a key that is not ours has a name like ours", "name", name, "err", err)
		return r, false, nil
	}
	return r, r.State == once.Claimed || r.State == once.Unknown, nil
}

// cursor is where a list goes on.
type cursor struct {
	among uint64   // the servers that it is of
	node  int      // how many of them were looked through
	scan  uint64   // the next one's own cursor
	shown []uint64 // of the piece there: the hashes of those that did not fit into one page
}

// take takes what fits of a piece, and goes on behind what was taken.
func (c *cursor) take(piece []once.Record, scan uint64, room int) []once.Record {
	piece = slices.DeleteFunc(piece, func(r once.Record) bool { return slices.Contains(c.shown, hashOf(r.Key)) })
	if len(piece) > room {
		piece = piece[:room]
		for _, r := range piece {
			c.shown = append(c.shown, hashOf(r.Key))
		}
		return piece
	}
	c.scan, c.shown = scan, nil
	if scan == 0 {
		c.node++
	}
	return piece
}

func (c cursor) String() string {
	var parts []string
	for _, n := range append([]uint64{c.among, uint64(c.node), c.scan}, c.shown...) {
		parts = append(parts, strconv.FormatUint(n, 36))
	}
	return strings.Join(parts, ".")
}

// parseCursor reads what String wrote; "" is the beginning. It fails with a
// [once.ErrCursor].
func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	var numbers []uint64
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 36, 64)
		if err != nil {
			return c, fmt.Errorf("redis: list keys: %w", once.ErrCursor)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) < 3 || numbers[1] > maxNodes {
		return c, fmt.Errorf("redis: list keys: %w", once.ErrCursor)
	}
	return cursor{numbers[0], int(numbers[1]), numbers[2], numbers[3:]}, nil
}

// maxNodes is how many primaries a Cluster can have: one for each slot.
const maxNodes = 16_384

// membership tells one set of servers from another. A server that was restarted is
// another one: its cursors mean something else.
func membership(nodes []node) uint64 {
	h := fnv.New64a()
	for _, n := range nodes {
		fmt.Fprintf(h, "%s %s\n", n.addr, n.info["run_id"])
	}
	return h.Sum64()
}

func hashOf(k once.Key) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d:%s:%s", len(k.Tenant), k.Tenant, k.ID)
	return h.Sum64()
}
