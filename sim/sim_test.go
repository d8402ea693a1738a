package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/sim"
)

// The fixed seeds of `make test`.
func TestNothingIsFoundWhereNothingIsWrong(t *testing.T) {
	r, err := sim.Run(t.Context(), sim.Config{Seeds: 100})
	if err != nil {
		t.Fatal(err)
	}
	// If these did not happen, nothing was put to the test.
	happened := map[string]int64{
		"executions": r.Answers.Executed, "replays": r.Answers.Replayed, "refusals": r.Answers.Refused,
		"mismatches": r.Answers.Mismatched, "expired keys": r.Answers.Expired, "failures": r.Answers.Failed,
		"interim answers": r.Answers.Interim, "payments": r.Payments, "sends": r.Sends, "checks": r.Checks, "notices": r.Notices,
	}
	for _, kind := range faults {
		happened[kind] = r.FaultKinds[kind]
	}
	for what, n := range happened {
		if n < 10 {
			t.Errorf("only %d %s in %d histories", n, what, r.Histories)
		}
	}
}

var faults = []string{
	"answer doubled", "answer lost", "answer of a commit lost", "clock jump", "commit refused", "commit unknown", "conflict",
	"crash", "disk full", "disk stalls", "given up", "key used for another request", "load error", "message delayed",
	"request doubled", "request lost", "sent twice at once",

	"answer garbled", "answer of a gateway lost", "check fails", "confirmed at once by many", "gateway down", "gateway slow",
	"gateway unreachable", "key forgotten", "notice doubled", "notice lost", "operation declined", "order carried out late", "send broken",
	"send late", "send lost", "sender paused", "sender paused before the first byte",
}

// A simulator that finds nothing is worth something only if it would have.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, row := range []struct {
		bug    sim.Bug
		within int // seeds
	}{
		{sim.AnswerBeforeCommit, 5}, {sim.TwoCommits, 50}, {sim.FingerprintIgnored, 10}, {sim.TenantIgnored, 10},
		{sim.SequenceReused, 20}, {sim.UnknownIsCommitted, 20}, {sim.UnknownIsRefused, 20}, {sim.TombstoneForgotten, 10},
		{sim.ClockForgotten, 100}, {sim.SyncIgnored, 5}, {sim.CompletionForgotten, 10},

		{sim.IntentNotDurable, 10}, {sim.NewIDPerSend, 20}, {sim.CheckSkipped, 50}, {sim.AbsentTooEarly, 50}, {sim.TimeoutIsFailure, 100},
		{sim.ResendAfterWindow, 300}, {sim.NoticeBelieved, 50}, {sim.NoticePostsTwice, 300}, {sim.TakenOverTooEarly, 100},
		{sim.LeaseUnchecked, 100}, {sim.LateAnswerDropped, 300}, {sim.ClockTrusted, 300},
	} {
		t.Run(row.bug.String(), func(t *testing.T) {
			r, err := sim.Run(t.Context(), sim.Config{Seeds: row.within, Bug: row.bug})
			broken, ok := errors.AsType[*sim.Failure](err)
			if !ok {
				t.Fatalf("not found in %d histories (%v)", r.Histories, err)
			}
			t.Logf("found in history %d, at event %d: %s", r.Histories, broken.Event, broken.Claim)
			again, err := sim.Run(t.Context(), sim.Config{FirstSeed: broken.Seed, Seeds: 1, Bug: row.bug})
			if err == nil || err.Error() != broken.Error() || again.Histories != 1 {
				t.Errorf("its seed alone says %v, not %v", err, broken)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("oncepay simulate --first-seed=%d --seeds=1", broken.Seed)) {
				t.Errorf("it does not say how to replay it: %v", err)
			}
		})
	}
}

func TestTheSameSeedsGiveTheSameTrace(t *testing.T) {
	run := func(first uint64, seeds int) sim.Report {
		r, err := sim.Run(t.Context(), sim.Config{FirstSeed: first, Seeds: seeds})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	once, again := run(7, 10), run(7, 10)
	if once.TraceHash != again.TraceHash || once.Events != again.Events || len(once.TraceHash) != 64 {
		t.Errorf("%s of %d events, then %s of %d", once.TraceHash, once.Events, again.TraceHash, again.Events)
	}
	if run(8, 10).TraceHash == once.TraceHash || run(7, 9).TraceHash == once.TraceHash {
		t.Error("other seeds give the same trace")
	}
}

// The other process has other addresses, and other orders of its maps.
func TestAnotherProcessGivesTheSameTrace(t *testing.T) {
	const child = "SIM_PRINTS_ITS_TRACE"
	r, err := sim.Run(t.Context(), sim.Config{FirstSeed: 100, Seeds: 10})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(child) != "" {
		fmt.Println("trace", r.TraceHash)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnotherProcessGivesTheSameTrace$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("trace "+r.TraceHash+"\n")) {
		t.Errorf("here %s; there %v\n%s", r.TraceHash, err, out)
	}
}

// Being watched does not change a history.
func TestATraceTellsEveryEvent(t *testing.T) {
	var story bytes.Buffer
	watched, err := sim.Run(t.Context(), sim.Config{FirstSeed: 3, Seeds: 1, Trace: &story})
	if err != nil {
		t.Fatal(err)
	}
	alone, err := sim.Run(t.Context(), sim.Config{FirstSeed: 3, Seeds: 1})
	if err != nil || alone.TraceHash != watched.TraceHash {
		t.Errorf("%v; the trace is %s when it is told and %s when not", err, watched.TraceHash, alone.TraceHash)
	}
	if lines := int64(bytes.Count(story.Bytes(), []byte("\n"))); lines < watched.Events {
		t.Errorf("%d lines for %d events", lines, watched.Events)
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := sim.Run(ctx, sim.Config{Seeds: 50, Progress: func(done, seeds int) {
		if seeds != 50 {
			t.Errorf("%d of %d", done, seeds)
		}
		if done == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || r.Histories != 4 {
		t.Errorf("%v after %d histories", err, r.Histories)
	}
}

// More seeds than the fixed ones, as many as somebody has time for.
func FuzzSeeds(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		if _, err := sim.Run(t.Context(), sim.Config{FirstSeed: seed, Seeds: 1}); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	var events, seeds int64
	for b.Loop() {
		r, err := sim.Run(b.Context(), sim.Config{FirstSeed: uint64(seeds), Seeds: 100})
		if err != nil {
			b.Fatal(err)
		}
		events += r.Events
		seeds += r.Histories
	}
	b.ReportMetric(float64(seeds)/b.Elapsed().Seconds(), "seeds/s")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
