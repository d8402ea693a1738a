package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/pay"
)

// connect makes a connector that knows the contract.
func connect(t testing.TB, cfg sandbox.ConnectorConfig) *sandbox.Connector {
	t.Helper()
	c, err := sandbox.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Known(ctx); err != nil {
		t.Fatal("the contract is not known:", err)
	}
	return c
}

// call is a usual call.
func call(op, method string) pay.Call {
	return pay.Call{Operation: op, Kind: pay.Charge, Payment: "pay_1", Tenant: "dev", Amount: 1250, Currency: "EUR", Last: true, Method: method}
}

// of returns what is asked of a charge.
func (h *house) of(op string, kind pay.Kind, charge pay.Finding, amount int64) pay.Call {
	c := call(op, "pm_ok")
	c.Kind, c.Target, c.Amount = kind, charge.GatewayID, amount
	return c
}

func TestConnectorSendsAndChecks(t *testing.T) {
	h := open(t, sandbox.Config{Timeout: patience})
	c := connect(t, sandbox.ConnectorConfig{URL: h.url})
	ctx := t.Context()

	charge := call("att_1", "pm_ok")
	f := c.Send(ctx, charge)
	if f.Outcome != pay.Done || f.Amount != 1250 || f.Currency != "EUR" || f.GatewayID == "" {
		t.Fatalf("%+v", f)
	}
	if g := c.Check(ctx, charge); g.Outcome != pay.Done || g.GatewayID != f.GatewayID || g.Amount != f.Amount {
		t.Errorf("%+v after %+v", g, f)
	}
	if g := c.Send(ctx, charge); g != f {
		t.Errorf("%+v after %+v", g, f)
	}
}
