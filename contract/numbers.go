package contract

import (
	"slices"
	"sync"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
)

var numbers = []promise{
	{"numbers of entries are handed out once", numbersAreHandedOutOnce},
	{"numbers are handed out with rows, and without", numbersComeWithRows},
	{"numbers that are not asked for are not handed out", noNumbersUnasked},
}

// span is a range of numbers that somebody was given.
type span struct{ first, n int64 }

// wantApart holds that no number was given twice, and none below 1: 0 is no
// entry.
func (b *bank) wantApart(spans []span) {
	b.Helper()
	slices.SortFunc(spans, func(x, y span) int { return int(x.first - y.first) })
	end := int64(1)
	for _, s := range spans {
		if s.first < end {
			b.Fatalf("number %d was given out, and %d numbers from %d on as well", end-1, s.n, s.first)
		}
		end = s.first + s.n
	}
}

func numbersAreHandedOutOnce(b *bank) {
	var mu sync.Mutex
	var spans []span
	var wg sync.WaitGroup
	for c := range int64(4) {
		wg.Go(func() {
			for i := range int64(50) {
				n := 1 + (c+i)%7
				rows, err := b.Load(b.ctx, engine.Need{Entries: n})
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				spans = append(spans, span{rows.FirstEntry, n})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	b.wantApart(spans)
}

func numbersComeWithRows(b *bank) {
	b.do(open("a"))
	need := engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a")}}, Entries: 3}
	one, err := b.Load(b.ctx, need)
	b.must(err)
	two, err := b.Load(b.ctx, engine.Need{Entries: 3})
	b.must(err)
	three, err := b.Load(b.ctx, need)
	b.must(err)
	b.same("accounts", 1, len(one.Accounts))
	b.wantApart([]span{{one.FirstEntry, 3}, {two.FirstEntry, 3}, {three.FirstEntry, 3}})
}

func noNumbersUnasked(b *bank) {
	rows, err := b.Load(b.ctx, engine.Need{Rows: ledger.Rows{Accounts: []ledger.Ref{ref("a")}}})
	b.must(err)
	b.same("the first number", int64(0), rows.FirstEntry)
}
