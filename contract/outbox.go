package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/outbox"
	"github.com/oncepay/oncepay/pay"
)

// Outbox is a store whose events are relayed, and told to those who ask for what
// happens next.
type Outbox interface {
	outbox.Store
	outbox.Books

	// EventsSince returns the events of a tenant that a filter leaves, in the order of
	// commits, and where to go on: Next is never empty. An empty cursor is the end
	// of what there is now. A page may be empty though others follow. It fails with an
	// engine.ErrBadCursor.
	EventsSince(ctx context.Context, tenant string, f engine.EventFilter, cursor string, limit int) (engine.List[outbox.Event], error)
}

// TestOutbox holds a store to what a relay needs of it: the stores of the fixture are an
// [Outbox].
func TestOutbox(t *testing.T, f Fixture) {
	for _, p := range []struct {
		name string
		keep func(*post)
	}{
		{"events are read in the order of their commits", readInOrder},
		{"a page of events goes on where the last one ended", readInPages},
		{"what is read is what was written", readAsWritten},
		{"a new sink is at the beginning", newSinkAtBeginning},
		{"one holder has the cursor, until its lease is over", oneHolder},
		{"a cursor that was given back can be taken at once", givenBack},
		{"who has lost the cursor writes nothing", lostWritesNothing},
		{"a cursor that was moved is lost, and goes on from there", movedIsLost},
		{"sinks tell how far behind they are", sinksTell},
		{"an event has a place, by its id and its time", placesAreFound},
		{"a cursor outlives the process", cursorOutlives},
		{"who asks what happens next is told all of it", followEvents},
		{"who follows is told of one tenant's events, and of those asked for", followNarrowly},
		{"a cursor of another list is refused", followWithBadCursor},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := newBank(t, f)
			p.keep(&post{b, b.Store.(Outbox)})
		})
	}
}

// post is a bank whose events somebody reads.
type post struct {
	*bank
	Outbox
}

// events makes some, and returns them as they were written: two of each subject.
func (p *post) events(n int) (all []outbox.Event) {
	p.Helper()
	for i := 0; len(all) < n; i++ {
		name := fmt.Sprintf("a%d-%d", p.now.UnixMicro(), i)
		all = append(all, p.do(open(name)).Ledger.Events...)
		p.wait(time.Millisecond)
		all = append(all, p.do(ledger.UpdateAccount{Ref: ref(name), Metadata: map[string]string{"n": name}}).Ledger.Events...)
		p.wait(time.Millisecond)
	}
	return all
}

// rest reads all that follows a place.
func (p *post) rest(after outbox.Position, limit int) (all []outbox.Placed) {
	p.Helper()
	for range 100_000 {
		events, more, err := p.EventsAfter(p.ctx, after, limit)
		p.must(err)
		for _, e := range events {
			if e.Position <= after {
				p.Fatalf("place %d comes after %d", e.Position, after)
			}
			after = e.Position
		}
		if all = append(all, events...); !more {
			return all
		}
	}
	p.Fatal("there is always more")
	return nil
}

func bare(placed []outbox.Placed) (events []outbox.Event) {
	for _, e := range placed {
		events = append(events, e.Event)
	}
	return events
}

func readInOrder(p *post) {
	p.same("no events", 0, len(p.rest(0, 10)))
	want := p.events(8)
	p.same("events", want, bare(p.rest(0, 100)))
	more := p.events(2)
	p.same("the events after", more, bare(p.rest(p.rest(0, 100)[7].Position, 100)))
}

func readInPages(p *post) {
	want := p.events(10)
	for _, n := range []int{1, 3, 10} {
		p.same("events", want, bare(p.rest(0, n)))
	}
	events, more, err := p.EventsAfter(p.ctx, 0, 3)
	p.must(err)
	if len(events) != 3 || !more {
		p.Errorf("a page of 3 of 10 has %d, and there is more: %v", len(events), more)
	}
}

func readAsWritten(p *post) {
	p.do(open("from"), open("to"))
	c := p.do(move("from", "to", 7))
	all := p.rest(0, 100)
	p.same("the event", c.Ledger.Events[0], all[len(all)-1].Event)
}

// take takes a cursor that can be had.
func (p *post) take(holder string, lease time.Duration) outbox.Cursor {
	p.Helper()
	c, err := p.TakeSink(p.ctx, "s", holder, lease)
	p.must(err)
	return c
}

func (p *post) want(err, want error) {
	p.Helper()
	if !errors.Is(err, want) {
		p.Fatalf("got %v, want %v", err, want)
	}
}

func newSinkAtBeginning(p *post) {
	p.events(2)
	p.same("its place", outbox.Position(0), p.take("one", time.Minute).Position)
}

func oneHolder(p *post) {
	first := p.take("one", 400*time.Millisecond)
	_, err := p.TakeSink(p.ctx, "s", "two", time.Minute)
	p.want(err, outbox.ErrHeld)
	if _, err := p.TakeSink(p.ctx, "another", "two", time.Minute); err != nil {
		p.Errorf("another sink: %v", err)
	}
	p.same("taken again by who has it", first, p.take("one", 400*time.Millisecond))
	p.must(p.KeepSink(p.ctx, first, 400*time.Millisecond))
	var second outbox.Cursor
	p.eventually(func() bool {
		second, err = p.TakeSink(p.ctx, "s", "two", time.Minute)
		return !errors.Is(err, outbox.ErrHeld)
	})
	p.must(err)
	if second.Fence <= first.Fence {
		p.Errorf("its fence is %d after %d", second.Fence, first.Fence)
	}
	p.want(p.KeepSink(p.ctx, first, time.Minute), outbox.ErrLost)
}

// eventually waits for something that takes a lease.
func (p *post) eventually(is func() bool) {
	p.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatal("it does not come about")
		}
	}
}

func givenBack(p *post) {
	all := p.events(2)
	c := p.take("one", time.Minute)
	c.Position = p.rest(0, 10)[len(all)-1].Position
	p.must(p.KeepSink(p.ctx, c, 0))
	p.want(p.KeepSink(p.ctx, c, time.Minute), outbox.ErrLost)
	p.same("its place", c.Position, p.take("two", time.Minute).Position)
}

func lostWritesNothing(p *post) {
	p.events(4)
	places := p.rest(0, 10)
	one := p.take("one", time.Millisecond)
	one.Position = places[3].Position
	p.eventually(func() bool { _, err := p.TakeSink(p.ctx, "s", "two", time.Minute); return err == nil })
	p.want(p.KeepSink(p.ctx, one, time.Minute), outbox.ErrLost)
	p.same("the place that the other finds", outbox.Position(0), p.take("two", time.Minute).Position)
	p.want(p.KeepSink(p.ctx, outbox.Cursor{Sink: "nobody"}, time.Minute), outbox.ErrLost)
}

func movedIsLost(p *post) {
	p.events(4)
	places := p.rest(0, 10)
	p.want(p.MoveSink(p.ctx, "s", 0), outbox.ErrNoSink)
	c := p.take("one", time.Minute)
	c.Position = places[3].Position
	p.must(p.KeepSink(p.ctx, c, time.Minute))
	p.must(p.MoveSink(p.ctx, "s", places[1].Position))
	p.want(p.KeepSink(p.ctx, c, time.Minute), outbox.ErrLost)
	p.same("its place", places[1].Position, p.take("two", time.Minute).Position)
}

func sinksTell(p *post) {
	none, err := p.Sinks(p.ctx)
	p.must(err)
	p.same("sinks", 0, len(none))
	all := p.events(6)
	c := p.take("one", time.Minute)
	behind := p.sink()
	p.same("the oldest", all[0].At, behind.OldestAt)
	if behind.Lag < 6 || behind.Sink != "s" {
		p.Errorf("6 events behind it is %+v", behind)
	}
	places := p.rest(0, 10)
	c.Position = places[3].Position
	p.must(p.KeepSink(p.ctx, c, time.Minute))
	if s := p.sink(); s.Lag < 2 || s.Lag >= behind.Lag || !s.OldestAt.Equal(all[4].At) || s.Position != c.Position {
		p.Errorf("2 events behind it is %+v", s)
	}
	c.Position = places[5].Position
	p.must(p.KeepSink(p.ctx, c, time.Minute))
	if s := p.sink(); s.Lag != 0 || !s.OldestAt.IsZero() {
		p.Errorf("at the end it is %+v", s)
	}
}

func (p *post) sink() outbox.State {
	p.Helper()
	all, err := p.Sinks(p.ctx)
	p.must(err)
	if len(all) != 1 {
		p.Fatalf("the sinks are %+v", all)
	}
	return all[0]
}

func placesAreFound(p *post) {
	all := p.events(6)
	places := p.rest(0, 10)
	at, found, err := p.PlaceOf(p.ctx, all[2].ID)
	p.must(err)
	if !found || at != places[2].Position {
		p.Errorf("the third is at %d: %v, want %d", at, found, places[2].Position)
	}
	_, found, err = p.PlaceOf(p.ctx, "evt_none")
	p.must(err)
	p.same("that of none", false, found)
	at, err = p.PlaceAt(p.ctx, all[3].At)
	p.must(err)
	if at >= places[3].Position {
		p.Errorf("from the time of the fourth, at %d, it goes on after %d", places[3].Position, at)
	}
	at, err = p.PlaceAt(p.ctx, all[0].At.Add(-time.Hour))
	p.must(err)
	p.same("the place before all", outbox.Position(0), at)
}

func cursorOutlives(p *post) {
	if p.fixture.Reopen == nil {
		return
	}
	p.events(2)
	c := p.take("one", 0)
	c.Position = p.rest(0, 10)[0].Position
	p.must(p.KeepSink(p.ctx, c, 0))
	p.Store = p.fixture.Reopen(p.T, p.Store)
	p.Outbox = p.Store.(Outbox)
	p.same("its place", c.Position, p.take("two", time.Minute).Position)
}

// follow reads what happened since a cursor, until it has so many events and there is
// nothing more.
func (p *post) follow(f engine.EventFilter, cursor string, limit, want int) (all []outbox.Event) {
	p.Helper()
	p.eventually(func() bool {
		l, err := p.EventsSince(p.ctx, tenant, f, cursor, limit)
		p.must(err)
		if len(l.Items) > limit || l.Next == "" {
			p.Fatalf("a page of %d has %d, and goes on at %q", limit, len(l.Items), l.Next)
		}
		end := l.Next == cursor
		all, cursor = append(all, l.Items...), l.Next
		return end && len(all) >= want
	})
	return all
}

// fromNow is a cursor for what happens from now on.
func (p *post) fromNow(f engine.EventFilter) string {
	p.Helper()
	p.rest(0, 100) // what has happened is known to have
	l, err := p.EventsSince(p.ctx, tenant, f, "", 10)
	p.must(err)
	p.same("what happened since now", 0, len(l.Items))
	return l.Next
}

func followEvents(p *post) {
	p.events(4)
	cursor := p.fromNow(engine.EventFilter{})
	want := p.events(6)
	for _, limit := range []int{1, 4, 100} {
		p.same("events", want, p.follow(engine.EventFilter{}, cursor, limit, len(want)))
	}
}

func followNarrowly(p *post) {
	cursor := p.fromNow(engine.EventFilter{})
	o := open("theirs")
	o.Tenant = "umbrella"
	p.do(o)
	mine := p.events(4)
	p.same("one tenant's events", mine, p.follow(engine.EventFilter{}, cursor, 10, len(mine)))
	f := engine.EventFilter{Subject: mine[0].Subject, Type: "account.updated"}
	cursor = p.fromNow(f)
	p.do(ledger.UpdateAccount{Ref: ref(mine[0].Subject), Metadata: map[string]string{}}, ledger.UpdateAccount{Ref: ref(mine[2].Subject), Metadata: map[string]string{}})
	p.do(ledger.CloseAccount{Ref: ref(mine[0].Subject)})
	if got := p.follow(f, cursor, 10, 1); len(got) != 1 || got[0].Subject != f.Subject || got[0].Type != f.Type {
		p.Errorf("got %+v", got)
	}
}

func followWithBadCursor(p *post) {
	p.events(2)
	cursor := p.fromNow(engine.EventFilter{})
	for name, try := range map[string]func() (engine.List[outbox.Event], error){
		"of nobody": func() (engine.List[outbox.Event], error) {
			return p.EventsSince(p.ctx, tenant, engine.EventFilter{}, "x", 1)
		},
		"of another tenant": func() (engine.List[outbox.Event], error) {
			return p.EventsSince(p.ctx, "umbrella", engine.EventFilter{}, cursor, 1)
		},
		"of another filter": func() (engine.List[outbox.Event], error) {
			return p.EventsSince(p.ctx, tenant, engine.EventFilter{Type: "account.opened"}, cursor, 1)
		},
	} {
		if _, err := try(); !errors.Is(err, engine.ErrBadCursor) {
			p.Errorf("a cursor %s: %v", name, err)
		}
	}
}

// SharedOutbox is a store that several processes share, and whose events are relayed.
type SharedOutbox interface {
	engine.Store
	outbox.Store
}

// TestSharedOutbox holds a store that several processes share to what a relay needs of it:
// open returns what so many processes have of the same store, which is empty. Their commits
// end in any order.
func TestSharedOutbox(t *testing.T, open func(t testing.TB, processes int) []SharedOutbox) {
	t.Run("no event is skipped, however commits overlap, and those of a subject are in order", func(t *testing.T) {
		const writers, each, readers = 6, 40, 2
		stores := open(t, writers)
		var writing, reading sync.WaitGroup
		done := make(chan struct{})
		read := make([][]outbox.Placed, readers)
		for n := range readers {
			reading.Go(func() { read[n] = readAlong(t, stores[n], done) })
		}
		for n, s := range stores {
			writing.Go(func() { writeAlong(t, s, n, each) })
		}
		writing.Wait()
		close(done)
		reading.Wait()
		for _, got := range read {
			compareEvents(t, got, writers*each*2)
		}
	})
	t.Run("of several processes one has the cursor", func(t *testing.T) {
		stores := open(t, 4)
		var wg sync.WaitGroup
		var mu sync.Mutex
		holders := 0
		for n, s := range stores {
			wg.Go(func() {
				_, err := s.TakeSink(t.Context(), "s", fmt.Sprint(n), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					holders++
				} else if !errors.Is(err, outbox.ErrHeld) {
					t.Error(err)
				}
			})
		}
		if wg.Wait(); holders != 1 {
			t.Errorf("%d have it", holders)
		}
	})
}

// readAlong reads while others write, and then what is left.
func readAlong(t testing.TB, s outbox.Store, done chan struct{}) (all []outbox.Placed) {
	after := outbox.Position(0)
	for ended := false; ; {
		select {
		case <-done:
			ended = true
		default:
		}
		events, more, err := s.EventsAfter(context.Background(), after, 7)
		if err != nil {
			t.Error(err)
			return all
		}
		if all = append(all, events...); len(all) > 0 {
			after = all[len(all)-1].Position
		}
		if ended && !more && len(events) == 0 {
			return all
		}
	}
}

// writeAlong opens accounts and updates them: some commits carry much, so that they
// take longer than others.
func writeAlong(t testing.TB, s engine.Store, process, each int) {
	ids := id.NewSource([32]byte{3, byte(process)})
	for n := range each {
		large := map[string]string{"name": "x"}
		for i := range n % 5 * 10 {
			large[fmt.Sprint("name", i)] = fmt.Sprintf("%0400d", i)
		}
		a := ref(fmt.Sprintf("a%d-%d", process, n))
		for _, c := range []ledger.Command{
			ledger.OpenAccount{Ref: a, Currency: "EUR", Metadata: large}, ledger.UpdateAccount{Ref: a, Metadata: map[string]string{}},
		} {
			if err := execute(s, c, ids); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

// execute executes one command, as often as it takes.
func execute(s engine.Store, c ledger.Command, ids *id.Source) error {
	for {
		book := pay.NewBook()
		c.Needs(book.Book)
		rows, err := s.Load(context.Background(), engine.Wanted(book))
		if err != nil {
			return err
		}
		rows.PutInto(book)
		at := opening
		if rows.Seen.After(at) {
			at = rows.Seen
		}
		if _, err := c.Decide(book.Book, ledger.Moment{Now: at, IDs: ids}); err != nil {
			return err
		}
		written, err := book.Changes()
		if err != nil {
			return err
		}
		if err = s.Commit(context.Background(), &engine.Changes{At: at, Ledger: written}); !errors.Is(err, engine.ErrConflict) {
			return err
		}
	}
}

// compareEvents holds that all events were read once, and those of a subject in order.
func compareEvents(t testing.TB, got []outbox.Placed, want int) {
	t.Helper()
	seen, bySubject := map[string]bool{}, map[string][]string{}
	for i, e := range got {
		if seen[e.ID] {
			t.Errorf("%s was read twice", e.ID)
		}
		if i > 0 && e.Position <= got[i-1].Position {
			t.Errorf("place %d comes after %d", e.Position, got[i-1].Position)
		}
		seen[e.ID] = true
		bySubject[e.Subject] = append(bySubject[e.Subject], e.Type)
	}
	if len(seen) != want {
		t.Errorf("%d events were read, of %d", len(seen), want)
	}
	for subject, types := range bySubject {
		if !slices.Equal(types, []string{"account.opened", "account.updated"}) {
			t.Errorf("of %s there was %v", subject, types)
		}
	}
}
