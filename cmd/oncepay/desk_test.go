package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/processor"
	"github.com/oncepay/oncepay/web"
)

// defective are gateways whose answers cannot be recorded.
type defective struct{}

func (defective) Check(context.Context, pay.Ref) error {
	return fmt.Errorf("%w: index out of range\ngoroutine 1 [running]:", engine.ErrInternal)
}

// A person is told of a defect in a sentence; where it is stands in the log.
func TestNobodyIsShownAStack(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	store, err := embedded(filepath.Join(t.TempDir(), "oncepay.db")).open(t.Context(), true, log)
	if err != nil {
		t.Fatal(err)
	}
	executor := engine.New(store, engine.Config{Since: store.Since(), Seed: id.Seed(), Render: func(r pay.Reply) once.Answer {
		if r.Refusal != nil {
			panic("a defect")
		}
		return web.RenderPayment(r)
	}})
	t.Cleanup(func() {
		executor.Close(context.Background())
		store.Close()
	})
	made := executor.Do(t.Context(), &engine.Job{Tenant: "shop", Payment: pay.CreatePayment{
		Ask:     pay.Ask{House: pay.House{Gateways: map[string]pay.Terms{"sandbox": {}}}},
		Payment: pay.Payment{Ref: pay.Ref{Tenant: "shop"}, Gateway: "sandbox", Amount: 1, Currency: "EUR", Method: "pm_ok"},
	}})
	list, err := store.Payments(t.Context(), "shop", engine.PaymentFilter{}, engine.Page{Limit: 1})
	if made.Err != nil || err != nil || len(list.Items) != 1 {
		t.Fatal(made.Err, err, list)
	}
	d, payment := &desk{store: store, executor: executor, gateways: defective{}, log: log}, list.Items[0].ID
	for doing, err := range map[string]error{
		"check":   d.CheckPayment(t.Context(), payment),
		"resolve": d.ResolvePayment(t.Context(), payment, decision{As: "absent", Evidence: "x", Actor: "me"}), // nothing is in doubt
	} {
		if err == nil || strings.Contains(err.Error(), "goroutine") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "defect,") {
			t.Errorf("%s: told %v", doing, err)
		}
		if !strings.Contains(logged.String(), "doing="+doing) || !strings.Contains(logged.String(), "goroutine") {
			t.Errorf("%s: logged %s", doing, logged.String())
		}
	}
}

// A decision that came from the command line is logged by the process that owns
// the store, without what it rests on.
func TestADecisionOfTheDeskIsLogged(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	d, made := inDoubt(t, log)
	how := decision{As: "captured", Evidence: "what the customer said", Actor: "operator ann"}
	if err := d.ResolvePayment(t.Context(), made.ID, how); err != nil {
		t.Fatal(err)
	}
	if err := d.ResolvePayment(t.Context(), made.ID, how); err == nil {
		t.Fatal("it was decided twice")
	}
	want := fmt.Sprintf(`level=INFO msg="a payment in doubt was resolved" tenant=shop payment=%s operation=%s as=captured actor="operator ann"`+"\n",
		made.ID, made.Charge().ID)
	if _, line, _ := strings.Cut(logged.String(), " "); line != want {
		t.Errorf("the log is %q, want %q", logged.String(), want)
	}
}

// inDoubt is a desk, and a payment whose sender is gone.
func inDoubt(t *testing.T, log *slog.Logger) (*desk, *pay.Payment) {
	t.Helper()
	store, err := embedded(filepath.Join(t.TempDir(), "oncepay.db")).open(t.Context(), true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	executor := engine.New(store, engine.Config{Since: store.Since(), Seed: id.Seed(), Render: web.RenderPayment})
	t.Cleanup(func() {
		executor.Close(context.Background())
		store.Close()
	})
	house := pay.House{Gateways: map[string]pay.Terms{"sandbox": {}}}
	executor.Do(t.Context(), &engine.Job{Tenant: "shop", Payment: pay.CreatePayment{
		Ask: pay.Ask{House: house}, Confirm: true,
		Payment: pay.Payment{Ref: pay.Ref{Tenant: "shop"}, Gateway: "sandbox", Amount: 1, Currency: "EUR", Method: "pm_ok"},
	}})
	list, err := store.Payments(t.Context(), "shop", engine.PaymentFilter{}, engine.Page{Limit: 1})
	if err != nil || len(list.Items) != 1 {
		t.Fatal(err, list)
	}
	made := list.Items[0]
	executor.Do(t.Context(), &engine.Job{Tenant: "shop", Payment: pay.Record{
		Ref: made.Ref, Operation: made.Charge().ID, House: house, Gone: true,
	}})
	return &desk{store: store, executor: executor, log: log}, made
}

// Evidence is kept for ever, so no card's number may be in it: the command refuses
// one before it asks anybody, and who owns the store refuses it from others. Nobody
// repeats it.
func TestEvidenceTakesNoCardNumber(t *testing.T) {
	var logged bytes.Buffer
	d, made := inDoubt(t, slog.New(slog.NewTextHandler(&logged, nil)))
	for _, number := range []string{"4242424242424242", "3782-822463-10005", "\uff14\uff12\uff14\uff12 4242 4242 4242"} {
		evidence := "slip of " + number + ", signed"
		o := oncepay(nil, "payments", "resolve", made.ID, "--as", "captured", "--evidence", evidence)
		want := "oncepay: --evidence: \"slip of ***, signed\" has a card's number in it, shown here as ***; leave it out: it would be kept for ever\n" +
			"Try \"oncepay payments resolve --help\".\n"
		if o.status != exitUsage || o.stderr != want || o.stdout != "" {
			t.Errorf("%s: got %+v, want %q", number, o, want)
		}
		err := d.ResolvePayment(t.Context(), made.ID, decision{As: "captured", Evidence: evidence, Actor: "me"})
		if err == nil || !strings.Contains(err.Error(), "***, signed") || strings.Contains(err.Error(), number) {
			t.Errorf("%s: who owns the store says %v", number, err)
		}
	}
	if p, err := d.store.Payment(t.Context(), made.Ref); err != nil || !p.InDoubt || logged.Len() > 0 {
		t.Errorf("the payment is %+v, %v; logged was %s", p, err, &logged)
	}
}

// What a human found that the gateway calls it reaches the store, and what is no id
// does not, from whomever it comes.
func TestADecisionOfTheDeskSaysWhatTheGatewayCallsIt(t *testing.T) {
	d, made := inDoubt(t, slog.New(slog.DiscardHandler))
	how := decision{As: "captured", GatewayID: "ch 77", Evidence: "report", Actor: "me"}
	if err := d.ResolvePayment(t.Context(), made.ID, how); err == nil || !strings.Contains(err.Error(), "--gateway-id") {
		t.Errorf("an id with a space: %v", err)
	}
	how.GatewayID = "ch_77"
	if err := d.ResolvePayment(t.Context(), made.ID, how); err != nil {
		t.Fatal(err)
	}
	if p, err := d.store.Payment(t.Context(), made.Ref); err != nil || p.InDoubt || p.Charge().GatewayID != "ch_77" {
		t.Errorf("the payment is %+v, %v", p, err)
	}
}

// late is a gateway that somebody waited for in vain, and why.
type late struct{ why error }

func (g late) Check(ctx context.Context, _ pay.Ref) error {
	if at, ends := ctx.Deadline(); !ends || time.Until(at) > checkTime {
		return errors.New("it is waited for without an end")
	}
	return fmt.Errorf("check: %w", g.why)
}

// A check of a gateway that hangs comes to an end before its caller does, and says
// what the API says.
func TestACheckOfAGatewayThatHangs(t *testing.T) {
	d, made := inDoubt(t, slog.New(slog.DiscardHandler))
	for why, want := range map[error]string{
		context.DeadlineExceeded: web.NotAsked,
		context.Canceled:         web.NotAsked, // somebody else asked, and left
		engine.ErrInProgress:     web.NotAsked,
		processor.ErrUntold:      "check: processor: the gateway has not said yet what it promises",
	} {
		d.gateways = late{why}
		if err := d.CheckPayment(t.Context(), made.ID); err == nil || err.Error() != want {
			t.Errorf("%v: told %v, want %s", why, err, want)
		}
	}
}

// The command takes the evidence that the API takes, and no other.
func TestEvidenceIsWhatTheAPITakes(t *testing.T) {
	for evidence, says := range map[string]string{
		"": "1 to 1000", strings.Repeat("x", 1001): "1 to 1000", "bell \a": "U+0007", "turned \u202e": "U+202E",
	} {
		err := decision{As: "absent", Evidence: evidence}.check()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.10q: %v, want %q", evidence, err, says)
		}
	}
	for _, evidence := range []string{strings.Repeat("ü", 1000), "line 1\n\tline 2"} {
		if err := (decision{As: "absent", Evidence: evidence}).check(); err != nil {
			t.Errorf("%.10q: %v", evidence, err)
		}
	}
}
