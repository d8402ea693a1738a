package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/web"
)

// desk settles payments in the process that owns the store.
type desk struct {
	store    store
	executor *engine.Executor
	gateways gateways // nil: this process knows none
	log      *slog.Logger
}

// gateways are who can ask a gateway about a payment.
type gateways interface {
	Check(ctx context.Context, ref pay.Ref) error
}

// CheckPayment is teller's.
func (d *desk) CheckPayment(ctx context.Context, id string) error {
	m, err := d.find(ctx, id)
	switch {
	case err != nil:
		return err
	case d.gateways == nil:
		return errors.New("no server is running on this store, and only a server knows the gateways: start it with `oncepay serve`; it checks by itself what is in doubt")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err = d.plain("check", id, d.gateways.Check(ctx, m.Ref))
	for _, late := range []error{context.DeadlineExceeded, context.Canceled, engine.ErrInProgress} {
		if errors.Is(err, late) {
			return badNews{web.NotAsked}
		}
	}
	return err
}

// checkTime is how long a check of the command line waits for the gateway: as long
// as one of the API does.
const checkTime = web.DefaultWait

// ResolvePayment is teller's.
func (d *desk) ResolvePayment(ctx context.Context, id string, how decision) error {
	if err := how.check(); err != nil {
		return err
	}
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if m.Operation(id) != nil && how.Operation == "" {
		how.Operation = id
	}
	r := &pay.Resolution{ResolvePayment: pay.ResolvePayment{
		Ref: m.Ref, Operation: how.Operation, Happened: how.As == "captured",
		GatewayID: how.GatewayID, Evidence: how.Evidence, Actor: how.Actor,
	}}
	o := d.executor.Do(ctx, &engine.Job{Tenant: m.Tenant, Payment: r})
	switch {
	case o.Err != nil:
		return d.plain("resolve", id, o.Err)
	case r.Decided != "":
		web.LogResolved(d.log, r)
	}
	return refused(o.Answer.Status, o.Answer.Body)
}

// plain is an error in words for a person. A defect has a stack, which is the
// log's.
func (d *desk) plain(doing, id string, err error) error {
	if !errors.Is(err, engine.ErrInternal) {
		return err
	}
	d.log.Error("a payment could not be settled", "doing", doing, "payment", id, "err", err)
	return errDefect
}

var errDefect = errors.New("it could not be written down: oncepay has a defect, and the log of the process that owns the store says which; the payment is as it was")

func (d *desk) find(ctx context.Context, id string) (*pay.Payment, error) {
	m, err := d.store.FindPayment(ctx, id)
	if err == nil && m == nil {
		err = noSuchPayment(id)
	}
	return m, err
}

// refused is the error that a problem tells of, if it is one.
func refused(status int, body []byte) error {
	var problem struct{ Detail string }
	if status < 400 {
		return nil
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		return fmt.Errorf("it was refused with %d", status)
	}
	return badNews{problem.Detail}
}

// openTeller returns who settles the payments of a store: its owner, if there is
// one, else this process. Close it after use.
func openTeller(ctx context.Context, at place, log *slog.Logger) (teller, func() error, error) {
	store, err := at.open(ctx, false, log)
	switch {
	case errors.Is(err, errOwned):
		return newOwner(at.owned()), func() error { return nil }, nil
	case err != nil:
		return nil, nil, err
	}
	shared := at.owned() == ""
	executor := engine.New(store, engine.Config{
		Since: store.Since(), Seed: id.Seed(), Render: web.RenderPayment, Shared: shared,
		Act: func(*pay.Order) {}, // whoever knows the gateway finds what is due
	})
	done := func() error { return errors.Join(executor.Close(context.WithoutCancel(ctx)), store.Close()) }
	d := &desk{store: store, executor: executor, log: log}
	if shared {
		d.gateways = elsewhere{d}
	}
	return d, done, nil
}

// elsewhere are the gateways that servers know which share the store: they are left word
// to ask.
type elsewhere struct{ *desk }

// Check returns when a server has written down what it was told.
func (e elsewhere) Check(ctx context.Context, ref pay.Ref) error {
	m, err := e.store.Payment(ctx, ref)
	if err != nil || m == nil {
		return errors.Join(err, noSuchPayment(ref.ID))
	}
	anybody := pay.House{Gateways: map[string]pay.Terms{m.Gateway: {Contract: pay.Contract{Lookup: true}}}} // whether it can be asked, they know
	o := e.executor.Do(ctx, &engine.Job{Tenant: ref.Tenant, Payment: pay.AskGateway{Ref: ref, House: anybody}})
	switch {
	case o.Err != nil:
		return o.Err
	case !o.Interim:
		return refused(o.Answer.Status, o.Answer.Body)
	}
	select {
	case <-o.Changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
