package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
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
	store, err := openStore(t.Context(), filepath.Join(t.TempDir(), "oncepay.db"), log)
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
	store, err := openStore(t.Context(), filepath.Join(t.TempDir(), "oncepay.db"), log)
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
