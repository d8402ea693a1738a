package web

import (
	"sync"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

// requestIDs makes the ids of requests. Sources are pooled, since one is for
// one goroutine at a time; ids of two of them are in the order of the clock.
type requestIDs struct{ sources sync.Pool }

func (s *requestIDs) next(now time.Time) string {
	source, ok := s.sources.Get().(*id.Source)
	if !ok {
		source = id.NewSource(id.Seed())
	}
	defer s.sources.Put(source)
	return source.New("req_", now)
}
