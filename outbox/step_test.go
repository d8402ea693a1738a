package outbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// placed are events of these subjects, at places that leave gaps.
func placed(from Position, subjects ...string) (all []Placed) {
	for i, s := range subjects {
		at := from + Position(2*i+2)
		all = append(all, Placed{Event{ID: fmt.Sprint("evt_", at), Tenant: "t", Subject: s, Data: []byte("{}")}, at})
	}
	return all
}

func subjects(flights []*Flight) (names []string) {
	for _, f := range flights {
		names = append(names, f.Subject)
	}
	return names
}

func wantSent(t *testing.T, flights []*Flight, want ...string) {
	t.Helper()
	if got := subjects(flights); !slices.Equal(got, want) {
		t.Fatalf("sent %v, want %v", got, want)
	}
}

func wantPosition(t *testing.T, s *Step, want Position) {
	t.Helper()
	if got := s.Position(); got != want {
		t.Fatalf("the cursor is at %d, want %d", got, want)
	}
}

// The cursor is the longest prefix that is acknowledged, in whatever order that is.
func TestTheCursorPassesNoGap(t *testing.T) {
	s := NewStep(10, Limits{})
	s.Read(placed(10, "a", "b", "c"))
	f := s.Next(start)
	wantSent(t, f, "a", "b", "c")
	s.Acknowledged(f[2])
	s.Acknowledged(f[1])
	wantPosition(t, s, 10)
	s.Acknowledged(f[0])
	wantPosition(t, s, 16)
}

// Of a subject one event is on its way; others go past it.
func TestASubjectsEventsWaitForEachOther(t *testing.T) {
	s := NewStep(0, Limits{})
	s.Read(placed(0, "a", "a", "b", "a"))
	f := s.Next(start)
	wantSent(t, f, "a", "b")
	s.Acknowledged(f[0])
	s.Acknowledged(f[0]) // twice is once
	second := s.Next(start)
	wantSent(t, second, "a")
	s.Acknowledged(second[0])
	third := s.Next(start)
	wantSent(t, third, "a")
	s.Acknowledged(third[0])
	wantPosition(t, s, 4)
	s.Acknowledged(f[1])
	wantPosition(t, s, 8)
	s.Read(placed(8, "a"))
	wantSent(t, s.Next(start), "a")
}

// Subjects of two tenants have nothing to do with each other.
func TestASubjectIsATenants(t *testing.T) {
	s := NewStep(0, Limits{})
	all := placed(0, "a", "a")
	all[1].Tenant = "u"
	s.Read(all)
	wantSent(t, s.Next(start), "a", "a")
}

// What failed is sent again after a pause that grows, by itself at first; when the sink
// takes it the others follow.
func TestASinkThatFailsIsAskedByOne(t *testing.T) {
	s := NewStep(0, Limits{MinBackoff: time.Second, MaxBackoff: 3 * time.Second})
	s.Read(placed(0, "a", "b", "c"))
	f := s.Next(start)
	for _, x := range f {
		s.Failed(x, x.try, start)
	}
	now := start
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		if got := s.Wait(); !got.Equal(now.Add(pause)) {
			t.Fatalf("after %v it waits until %v", now.Sub(start), got.Sub(start))
		}
		wantSent(t, s.Next(now.Add(pause-1)))
		now = now.Add(pause)
		again := s.Next(now)
		if len(again) != 1 {
			t.Fatalf("sent %v", subjects(again))
		}
		s.Failed(again[0], again[0].try, now)
	}
	now = now.Add(3 * time.Second)
	probe := s.Next(now)[0]
	s.Acknowledged(probe)
	rest := s.Next(now)
	if len(rest) != 2 {
		t.Fatalf("sent %v", subjects(rest))
	}
	s.Acknowledged(rest[0])
	s.Acknowledged(rest[1])
	wantPosition(t, s, 6)
}

// What is not heard of in time is sent again; an answer to an earlier try counts if
// it is good, and not if it is bad.
func TestSilenceIsFollowedByAnotherTry(t *testing.T) {
	s := NewStep(0, Limits{AckTimeout: 10 * time.Second, MinBackoff: time.Second})
	s.Read(placed(0, "a", "b"))
	f := s.Next(start)
	s.Expire(start.Add(10*time.Second - 1))
	wantSent(t, s.Next(start.Add(10*time.Second)))
	now := start.Add(10 * time.Second)
	s.Expire(now)
	if s.InFlight() != 0 {
		t.Fatalf("%d are in flight", s.InFlight())
	}
	now = now.Add(time.Second)
	again := s.Next(now)
	wantSent(t, again, "a")
	s.Failed(f[0], 1, now)
	if s.InFlight() != 1 {
		t.Fatal("an old try's failure is taken for the new one's")
	}
	s.Acknowledged(f[0])
	s.Acknowledged(f[1]) // while it waits to be sent again
	wantPosition(t, s, 4)
	wantSent(t, s.Next(now))
}

// The window is bounded in events and in bytes.
func TestTheWindowIsBounded(t *testing.T) {
	s := NewStep(0, Limits{Window: 3, Bytes: 100})
	if s.Room() != 3 {
		t.Fatalf("there is room for %d", s.Room())
	}
	s.Read(placed(0, "a", "b"))
	f := s.Next(start)
	s.Acknowledged(f[1]) // behind one that is not
	if s.Room() != 1 {
		t.Fatalf("there is room for %d", s.Room())
	}
	s.Acknowledged(f[0])
	large := placed(4, "c")
	large[0].Data = make([]byte, 100)
	s.Read(large)
	if s.Room() != 0 {
		t.Fatalf("beside 100 bytes there is room for %d", s.Room())
	}
	s.Acknowledged(s.Next(start)[0])
	if s.Room() != 3 || s.bytes != 0 || len(s.last) != 0 || s.sent != 0 {
		t.Fatalf("in the end it is %+v", s)
	}
}

// Whatever is acknowledged, fails and is lost, in whatever order: every event is
// delivered, those of a subject in their order, and the cursor passes none before that.
func TestAnySinkGetsEverythingInOrder(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := NewStep(0, Limits{Window: 8, AckTimeout: time.Second, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond})
		names := make([]string, 60)
		for i := range names {
			names[i] = string(rune('a' + rng.IntN(5)))
		}
		all := placed(0, names...)
		delivered, last := map[Position]bool{}, map[string]Position{}
		type try struct {
			*Flight
			n int
		}
		var out []try
		now := start
		for rounds, read := 0, 0; s.Position() < all[len(all)-1].Position; rounds++ {
			if rounds > 10_000 {
				t.Fatalf("seed %d: it does not end at %d", seed, s.Position())
			}
			n := min(s.Room(), len(all)-read, rng.IntN(4))
			s.Read(all[read : read+n])
			read += n
			for _, f := range s.Next(now) {
				out = append(out, try{f, f.try})
			}
			now = now.Add(time.Duration(rng.IntN(100)) * time.Millisecond)
			s.Expire(now)
			if len(out) == 0 {
				continue
			}
			i := rng.IntN(len(out))
			x := out[i]
			out = slices.Delete(out, i, i+1)
			switch rng.IntN(4) {
			case 0: // lost
			case 1:
				s.Failed(x.Flight, x.n, now)
			default:
				if !delivered[x.Position] {
					if x.Position < last[x.Subject] {
						t.Fatalf("seed %d: %d comes after %d", seed, x.Position, last[x.Subject])
					}
					delivered[x.Position], last[x.Subject] = true, x.Position
				}
				s.Acknowledged(x.Flight)
			}
			for _, e := range all {
				if e.Position <= s.Position() && !delivered[e.Position] {
					t.Fatalf("seed %d: the cursor is at %d, and %d was not delivered", seed, s.Position(), e.Position)
				}
			}
		}
	}
}
