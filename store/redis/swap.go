package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/oncepay/oncepay/once"
)

// MaxRecord is how large a record may be, with its answer. A server does one thing at a
// time: all others wait for some milliseconds while it copies one as large as this.
const MaxRecord = 16 << 20

// swapScript writes KEYS[1] if its value begins with ARGV[1], and shows it otherwise.
// ARGV[2] is the new value and ARGV[3] when it expires, 0 for never. KEYS[2], if it is
// given, becomes ARGV[4] until ARGV[5].
//
// It asks no clock, and reads no more than it compares: each command inside of a script
// costs the server as much as one that was sent.
const swapScript = `if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then
  return redis.call('GET', KEYS[1])
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
if KEYS[2] then
  redis.call('SET', KEYS[2], ARGV[4], 'PXAT', ARGV[5])
end
return 1`

// Swap is once.Store's. It fails with an [ErrForeign] if what is under the key is not
// from here.
func (s *Store) Swap(ctx context.Context, next once.Record) (once.Seen, error) {
	name, f := s.names.record(next.Key), formOf(next)
	if size := f.size(); size > MaxRecord {
		return once.Seen{}, fmt.Errorf("redis: %w: it has %d bytes, and may have %d", once.ErrTooLarge, size, MaxRecord)
	}
	write := s.replace
	if next.Version == 1 && f.until == 0 && f.answer == nil {
		write = s.create
	}
	found, won, err := write(ctx, name, mark(next.Version-1), f)
	if err != nil {
		return once.Seen{}, fmt.Errorf("redis: write a key: %w", err)
	}
	if won {
		return once.Seen{Record: next, Won: true, At: s.clock.now()}, nil
	}
	return s.show(ctx, next.Key, name, found)
}

// create writes a record that expires by no time where there is none. No script is
// needed for that, which is half of the server's work.
func (s *Store) create(ctx context.Context, name, _ string, f form) (found string, won bool, err error) {
	found, err = valueOf(s.ask(ctx, s.client.B().Set().Key(name).Value(rueidis.BinaryString(f.record)).Nx().Get().Build()).ToString())
	if refuses(err) { // whoever loses can be shown to what all the same
		if read, readErr := s.read(ctx, name); readErr == nil && read != "" {
			return read, false, nil
		}
	}
	return found, err == nil && found == "", err
}

// refuses says whether a server writes nothing at all, because its memory is full or its
// disk is, and still reads.
func refuses(err error) bool {
	refused, is := rueidis.IsRedisErr(err)
	return is && (strings.HasPrefix(refused.Error(), "OOM ") || strings.HasPrefix(refused.Error(), "MISCONF "))
}

// replace writes a record where one is that begins with the mark.
func (s *Store) replace(ctx context.Context, name, seen string, f form) (found string, won bool, err error) {
	keys := []string{name}
	args := []string{seen, rueidis.BinaryString(f.record), strconv.FormatInt(f.until, 10)}
	if f.answer != nil {
		keys = append(keys, s.names.answer(name))
		args = append(args, rueidis.BinaryString(f.answer), strconv.FormatInt(f.fades, 10))
	}
	n := int64(len(keys))
	res := s.ask(ctx, s.client.B().Evalsha().Sha1(s.swap).Numkeys(n).Key(keys...).Arg(args...).Build())
	if refused, is := rueidis.IsRedisErr(res.Error()); is && refused.IsNoScript() { // so it did not run
		res = s.ask(ctx, s.client.B().Eval().Script(swapScript).Numkeys(n).Key(keys...).Arg(args...).Build())
	}
	if m, err := res.ToMessage(); err == nil && m.IsInt64() {
		return "", true, nil
	}
	found, err = valueOf(res.ToString())
	return found, false, err
}

// valueOf is a value that was read: empty if there is none. One that is empty itself is
// none of ours.
func valueOf(read string, err error) (string, error) {
	switch {
	case rueidis.IsRedisNil(err):
		return "", nil
	case err != nil:
		return "", err
	case read == "":
		return "", fmt.Errorf("%w: it is empty", ErrForeign)
	}
	return read, nil
}

// Load is once.Store's. It fails with an [ErrForeign] if what is under the key is not from
// here.
func (s *Store) Load(ctx context.Context, k once.Key) (once.Seen, error) {
	name := s.names.record(k)
	found, err := s.read(ctx, name)
	if err != nil {
		return once.Seen{}, fmt.Errorf("redis: read a key: %w", err)
	}
	return s.show(ctx, k, name, found)
}

func (s *Store) read(ctx context.Context, name string) (string, error) {
	return valueOf(s.ask(ctx, s.client.B().Get().Key(name).Build()).ToString())
}

// show reads the value that was found under a key, and its answer if it is apart.
func (s *Store) show(ctx context.Context, k once.Key, name, found string) (seen once.Seen, err error) {
	seen.Record, err = parse(k, found)
	if err == nil && seen.Record.State == once.Tombstone {
		seen.Record, err = s.answered(ctx, k, name)
	}
	seen.At = s.clock.now()
	return seen, err
}

// answered reads a record and its answer, at one moment.
func (s *Store) answered(ctx context.Context, k once.Key, name string) (once.Record, error) {
	values, err := s.ask(ctx, s.client.B().Mget().Key(name, s.names.answer(name)).Build()).ToArray()
	if err != nil {
		return once.Record{}, fmt.Errorf("redis: read an answer: %w", err)
	}
	known, err := recordIn(k, values[0])
	if err != nil {
		return known, err
	}
	answer, err := recordIn(k, values[1])
	return whole(known, answer), err
}

// whole is a record with its answer, if that is its own: one of an earlier life of the key
// may be left, where the record was lost.
func whole(known, answer once.Record) once.Record {
	if known.State == once.Tombstone && answer.Version == known.Version {
		return answer
	}
	return known
}

func recordIn(k once.Key, m rueidis.RedisMessage) (once.Record, error) {
	value, err := valueOf(m.ToString())
	if err != nil {
		return once.Record{}, fmt.Errorf("redis: read an answer: %w", err)
	}
	return parse(k, value)
}

// ask sends a command, and asks for the time along with it if that is due: the command's
// node answers both.
func (s *Store) ask(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	if !s.clock.due() {
		return s.client.Do(ctx, cmd)
	}
	answers := s.client.DoMulti(ctx, cmd, s.client.B().Time().Build())
	s.clock.saw(answers[1]) // if it tells none, what it told last goes on
	return answers[0]
}
