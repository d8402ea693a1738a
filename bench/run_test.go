package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a run that is over in a moment.
func small(f *fake) Config {
	return Config{Target: f.URL, Connections: 8, Requests: 400, Accounts: 20, BatchSize: 7, Audit: true}
}

func TestEveryKindOfRequestPassesTheAudit(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(*Config)
		classes string
		kept    uint64
	}{
		"fresh transfers are the default":         {func(*Config) {}, "fresh", 400},
		"duplicates make nothing but the primed":  {func(c *Config) { c.Mix = Mix{Duplicate: 100} }, "duplicate", primed},
		"a hot account is debited":                {func(c *Config) { c.Mix = Mix{Hot: 100} }, "hot", 400},
		"a batch counts each of its items":        {func(c *Config) { c.Mix = Mix{Batch: 100}; c.Requests = 20 }, "batch", 140},
		"two accounts are enough":                 {func(c *Config) { c.Accounts = 2; c.Mix = Mix{Fresh: 50, Hot: 50} }, "fresh hot", 400},
		"keys may be random":                      {func(c *Config) { c.Keys = Random }, "fresh", 400},
		"the target may end in a slash":           {func(c *Config) { c.Target += "/" }, "fresh", 400},
		"one connection is enough":                {func(c *Config) { c.Connections = 1; c.Requests = 50 }, "fresh", 50},
		"a fixed rate sends as many as asked for": {func(c *Config) { c.Rate = 5_000; c.Requests = 200 }, "fresh", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, honest)
			cfg := small(f)
			row.change(&cfg)
			report, err := Run(t.Context(), cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.Audit.Acknowledged != row.kept || report.Audit.Transfers != row.kept || report.Audit.Accounts != uint64(cfg.Accounts) {
				t.Errorf("audit is %+v, want %d transfers and %d accounts", report.Audit, row.kept, cfg.Accounts)
			}
			if got := uint64(len(f.transfers)); got != row.kept {
				t.Errorf("the server executed %d transfers, want %d", got, row.kept)
			}
			if got := names(report); got != row.classes {
				t.Errorf("classes are %q, want %q", got, row.classes)
			}
			if report.Requests != uint64(cfg.Requests) {
				t.Errorf("%d requests, want %d", report.Requests, cfg.Requests)
			}
		})
	}
}

func names(r Report) string {
	var all []string
	for _, c := range r.Classes {
		all = append(all, c.Class)
	}
	return strings.Join(all, " ")
}

func TestAServerThatLiesIsCaught(t *testing.T) {
	mixed := Mix{Fresh: 70, Duplicate: 30}
	for name, row := range map[string]struct {
		lie  lie
		mix  Mix
		says string
	}{
		"a lost transfer shows in the balances":              {lost, Mix{Fresh: 100}, "the acknowledged transfers add up to"},
		"a doubled transfer shows in the balances":           {doubled, Mix{Fresh: 100}, "the acknowledged transfers add up to"},
		"a wrong balance is told":                            {offByOne, Mix{Fresh: 100}, "the acknowledged transfers add up to"},
		"another amount in the store shows when it is read":  {otherAmount, Mix{Fresh: 100}, "stored (status 200)"},
		"another amount in the answer shows":                 {otherAnswer, Mix{Fresh: 100}, "asked for"},
		"other bytes show in a duplicate":                    {otherBytes, mixed, "other bytes"},
		"other bytes show in the audit":                      {otherBytes, Mix{Fresh: 100}, "other bytes"},
		"other bytes for a batch's item show in the audit":   {runsAnew, Mix{Batch: 100}, "Idempotency-Replayed"},
		"an unmarked replay shows in a duplicate":            {unmarked, mixed, "Idempotency-Replayed"},
		"an unmarked replay shows in the audit":              {unmarked, Mix{Fresh: 100}, "Idempotency-Replayed"},
		"a repeat that is executed again shows":              {runsAnew, mixed, "Idempotency-Replayed"},
		"a repeat that is executed again shows in the audit": {runsAnew, Mix{Hot: 100}, "Idempotency-Replayed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := small(newFake(t, row.lie))
			cfg.Mix = row.mix
			report, err := Run(t.Context(), cfg, nil)
			if !errors.Is(err, ErrWrong) {
				t.Fatalf("err is %v, want ErrWrong", err)
			}
			if all := strings.Join(report.FaultExamples, "\n"); report.Faults == 0 || !strings.Contains(all, row.says) {
				t.Errorf("%d faults, none says %q:\n%s", report.Faults, row.says, all)
			}
		})
	}
}

func TestALostTransferIsMissedByItsIDToo(t *testing.T) {
	report, _ := Run(t.Context(), small(newFake(t, lost)), nil)
	if report.Faults < 40 { // more than the 20 accounts can have
		t.Errorf("%d faults, want the 40 lost transfers and the balances they left: %q", report.Faults, report.FaultExamples)
	}
}

func TestUnknownOutcomesAreSettledBeforeBalancesAreJudged(t *testing.T) {
	f := newFake(t, honest)
	f.hold = func(n int) fate {
		if n > 400 {
			return arrives
		}
		return fate(n % 4) // arrives, lost before, lost after, 503
	}
	report, err := Run(t.Context(), small(f), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := report.Errors["disconnected"], uint64(200); got != want {
		t.Errorf("%d disconnected, want %d: %v", got, want, report.Errors)
	}
	if a := report.Audit; a.Unknown != 200 || a.Unsettled != 0 || a.Acknowledged != 300 {
		t.Errorf("audit is %+v, want 200 unknown, all settled, 300 acknowledged", a)
	}
	if got := report.Classes[0].Statuses; got["503"] != 100 || got["201"] != 100 {
		t.Errorf("statuses are %v, want 100 times 201 and 503", got)
	}
}

func TestABatchWithoutAnAnswerIsSettledItemByItem(t *testing.T) {
	f := newFake(t, honest)
	f.hold = func(n int) fate {
		if n > 40 {
			return arrives
		}
		return fate(n % 4)
	}
	cfg := small(f)
	cfg.Mix, cfg.Requests = Mix{Batch: 100}, 40
	report, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := report.Audit; a.Unknown != 20*7 || a.Acknowledged != 30*7 {
		t.Errorf("audit is %+v, want 20 batches of 7 unknown and 30 acknowledged", a)
	}
}

func TestWhatStaysUnknownIsNoPassedAudit(t *testing.T) {
	t.Parallel() // it waits for the last of the audit's repeats
	f := newFake(t, honest)
	f.hold = func(int) fate { return lostAfter }
	cfg := small(f)
	cfg.Requests = 1
	report, err := Run(t.Context(), cfg, nil)
	if err == nil || errors.Is(err, ErrWrong) || report.Audit.Unsettled != 1 || report.Audit.Accounts != 0 {
		t.Errorf("err is %v and the audit %+v; want an error that says nothing of a wrong server, and no balance judged", err, report.Audit)
	}
}

func TestNothingIsSentTwiceWhenAReusedConnectionIsClosed(t *testing.T) {
	f := newFake(t, honest)
	f.hold = func(n int) fate { return fate(n % 2) } // every other request is read, then the connection is closed
	cfg := small(f)
	cfg.Audit = false
	report, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.posts["POST /v1/transfers"]; got != 400 {
		t.Errorf("%d requests on the wire, want 400", got)
	}
	if report.Errors["disconnected"] != 200 {
		t.Errorf("errors are %v, want 200 disconnected", report.Errors)
	}
}

func TestAStormIsOneExecution(t *testing.T) {
	f := newFake(t, honest)
	report, err := Run(t.Context(), Config{Target: f.URL, Scenario: Storm, Connections: 100, Audit: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Storm; s.Sent != 100 || s.Executions != 1 || s.Replays != 99 || s.SpreadMS <= 0 {
		t.Errorf("storm is %+v, want 100 sent, 1 executed, 99 replayed", s)
	}
	if f.posts["POST /v1/transfers"] != 101 || report.Audit.Acknowledged != 1 {
		t.Errorf("%d requests, %d acknowledged; want 100 and one by the audit, and one transfer", f.posts["POST /v1/transfers"], report.Audit.Acknowledged)
	}
}

func TestAStormCatches(t *testing.T) {
	for _, l := range []lie{runsAnew, otherBytes, unmarked} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			f := newFake(t, l)
			if _, err := Run(t.Context(), Config{Target: f.URL, Scenario: Storm, Connections: 20}, nil); !errors.Is(err, ErrWrong) {
				t.Errorf("err is %v, want ErrWrong", err)
			}
		})
	}
}

func TestTheReportIsATableAndJSON(t *testing.T) {
	cfg := small(newFake(t, honest))
	cfg.Mix = Mix{Fresh: 50, Duplicate: 50}
	report, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"p99.9 ms", "fresh", "duplicate", "201: ", "errors: none", "audit: "} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &table)
		}
	}
	out, err := json.Marshal(report)
	if err != nil || !bytes.Contains(out, []byte(`"requests_per_second":`)) || !bytes.Contains(out, []byte(`"p99_9_ms":`)) {
		t.Errorf("JSON is %s, %v", out, err)
	}
}

func TestACancelledRunEndsAtOnceAndKeepsItsFigures(t *testing.T) {
	f := newFake(t, honest)
	ctx, cancel := context.WithCancel(t.Context())
	f.hold = func(n int) fate {
		if n == 100 {
			cancel()
		}
		return arrives
	}
	cfg := small(f)
	cfg.Requests, cfg.Duration = 0, time.Hour
	report, err := Run(ctx, cfg, nil)
	if !errors.Is(err, context.Canceled) || report.Requests == 0 || report.Audit != nil {
		t.Errorf("err is %v, %d requests, audit %v; want cancelled, some and none", err, report.Requests, report.Audit)
	}
}
