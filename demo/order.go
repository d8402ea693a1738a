package demo

import (
	"fmt"
	"math/rand/v2"
)

// order is what the shop wants once.
type order struct {
	id      string // "order-17": the same in every run
	payment bool   // through the gateway; otherwise a transfer
	amount  int64  // cents
	method  string // payments: how the gateway behaves

	settled  bool
	declined bool
	gateway  string // payments: what the gateway knows it by
}

// methods is what a shop's day is like, a little worse.
var methods = []struct {
	name    string
	percent int
	silent  bool // takes the money, and does not say so
}{
	{"pm_timeout_after_charge", 4, true},
	{"pm_500_after_charge", 3, true},
	{"pm_late", 1, true},
	{"pm_timeout_before_charge", 2, false},
	{"pm_slow", 2, false},
	{"pm_duplicate_webhooks", 3, false},
	{"pm_declined", 3, false},
	{"pm_ok", 100, false},
}

// silent says whether the gateway takes the order's money and does not say so.
func (o *order) silent() bool {
	for _, m := range methods {
		if m.name == o.method {
			return m.silent
		}
	}
	return false
}

// draw makes the orders of a seed: payments and transfers in a mixed row.
func draw(cfg Config) []*order {
	luck := rand.New(rand.NewPCG(cfg.Seed, 0))
	orders := make([]*order, 0, cfg.Payments+cfg.Transfers)
	for i := range cfg.Payments {
		orders = append(orders, &order{id: fmt.Sprintf("order-%d", i), payment: true, amount: 100 + luck.Int64N(20000), method: drawMethod(luck)})
	}
	for i := range cfg.Transfers {
		orders = append(orders, &order{id: fmt.Sprintf("payout-%d", i), amount: 1 + luck.Int64N(5000)})
	}
	luck.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
	return orders
}

func drawMethod(luck *rand.Rand) string {
	n := luck.IntN(100)
	for _, m := range methods {
		if n -= m.percent; n < 0 {
			return m.name
		}
	}
	return "pm_ok"
}
