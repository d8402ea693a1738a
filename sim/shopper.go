package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/once"
)

// shop makes up what to do next about payments.
func (c *client) shop(key once.Key) *request {
	switch n := c.luck.IntN(100); {
	case n < 50 || len(c.tenant.bought) == 0:
		return buyRequest(key, c.purchase()).seal(c.tenant.hasher)
	case n < 62:
		return confirmRequest(key.Tenant, c.one(c.tenant.bought))
	case n < 78:
		amount := c.part()
		return captureRequest(key, c.one(c.tenant.reserved), amount, amount != nil && c.luck.IntN(2) == 0).seal(c.tenant.hasher)
	case n < 86:
		return cancelRequest(key, c.one(slices.Concat(c.tenant.bought, c.tenant.reserved))).seal(c.tenant.hasher)
	}
	return refundRequest(key, c.one(c.tenant.charged), c.part()).seal(c.tenant.hasher)
}

// purchase takes a new order, or one that there was already: with another key, and
// now and then with another amount. Tenants number their orders alike.
func (c *client) purchase() purchase {
	t := c.tenant
	number := t.orders
	if number == 0 || c.luck.IntN(3) > 0 {
		t.orders++
		number = t.orders
	} else {
		number -= c.luck.IntN(min(number, 3))
	}
	b := purchase{
		reference: "order-" + strconv.Itoa(number), amount: int64(100 + number*37%900), currency: currency, manual: number%3 == 0,
		gateway: c.gateways[number%len(c.gateways)].name, confirm: c.luck.IntN(4) > 0,
	}
	if number%5 == 0 {
		b.currency = "JPY"
	}
	switch c.luck.IntN(20) {
	case 0:
		b.amount++
	case 1:
		b.reference = ""
	}
	return b
}

// part is how much is captured or refunded: nil is all that is left.
func (c *client) part() *int64 {
	if c.luck.IntN(2) == 0 {
		return nil
	}
	return new(1 + c.luck.Int64N(300))
}

// learnPayment reads the answer about a payment, as a client would.
func (c *client) learnPayment(req *request, body string) {
	id := idOf([]byte(body))
	if !strings.HasPrefix(id, "pay_") {
		return
	}
	t := c.tenant
	remember := func(in *[]string) {
		if !slices.Contains(*in, id) {
			*in = append(*in, id)
		}
	}
	_, rest, _ := strings.Cut(body, `"status":"`)
	switch status, _, _ := strings.Cut(rest, `"`); status {
	case "authorized":
		remember(&t.reserved)
	case "succeeded":
		remember(&t.charged)
	case "requires_action":
		remember(&t.bought)
		if c.luck.IntN(2) == 0 { // the customer comes back
			c.after(c.between(0, 20*time.Minute), "client: confirms again", func() { c.send(call{req: confirmRequest(t.name, id), from: c}) })
		}
	default:
		remember(&t.bought)
	}
	if req.kind == buy && c.chance(c.habits.twice, "confirmed at once by many") {
		for range 2 + c.luck.IntN(3) {
			c.send(call{req: confirmRequest(t.name, id), from: c})
		}
	}
}

// forgets has a client lose its key, and buy with another one.
func (c *client) forgets(o *op) {
	if o.req.kind == buy && o.req.buys.reference != "" && c.chance(c.habits.giveUp, "key forgotten") {
		o.req = buyRequest(c.newKey(), o.req.buys).seal(c.tenant.hasher)
	}
}
