package dedup

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Whatever happens to it, in whatever order, an index answers like a map with times.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		ids := rapid.SliceOfN(rapid.StringMatching(`[a-h]{1,2}`), 1, 40)
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) { w.mustAsk(Durable, ids.Draw(t, "ids")...) },
			"ask for new ones": func(t *rapid.T) {
				w.mustAsk(Durable, randomIDs(r, rapid.IntRange(1, 64).Draw(t, "n"))...)
			},
			"ask at once": func(t *rapid.T) { w.mustAsk(AtOnce, ids.Draw(t, "ids")...) },
			"let a little time pass": func(t *rapid.T) {
				w.clock.ms.Add(rapid.Int64Range(0, 5).Draw(t, "ms"))
			},
			"let much time pass": func(t *rapid.T) {
				w.clock.ms.Add(rapid.Int64Range(0, 200).Draw(t, "ms"))
			},
			"open again":    func(*rapid.T) { w.close(); w.open() },
			"cut the power": func(*rapid.T) { w.crash(w.disk.cutPower(r)) },
			"kill":          func(*rapid.T) { w.crash(w.disk.kill()) },
			"seal":          func(*rapid.T) { w.settle() },
		})
		w.askAll()
		w.close()
	})
}

func (w *world) mustAsk(ack Ack, ids ...string) {
	w.tb.Helper()
	if err := w.ask(ack, ids...); err != nil {
		w.tb.Fatal(err)
	}
}
