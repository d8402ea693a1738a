package sandbox

import "time"

// A behaviour is what a payment method chooses: what goes otherwise than usual,
// at the first send of an operation and at every one.
type behaviour struct {
	usual Fault
	first *Fault // instead of usual, at the first send
}

// behaviours by the payment method that chooses them. An option chooses them for
// captures, voids and refunds.
var behaviours = map[string]behaviour{
	"pm_ok":                    {},
	"pm_declined":              {usual: Fault{Decline: "insufficient_funds"}},
	"pm_requires_action":       {usual: Fault{Action: true}},
	"pm_timeout_after_charge":  {usual: Fault{Answer: Hang, Webhooks: tardy}},
	"pm_timeout_before_charge": {first: &Fault{Skip: true, Answer: Hang}},
	"pm_500_after_charge":      {usual: Fault{Status: 500, Webhooks: tardy}},
	"pm_slow":                  {usual: Fault{Before: 2 * time.Second}},
	"pm_duplicate_webhooks":    {usual: Fault{Webhooks: Webhooks{Copies: 3, Stale: true}}},
	"pm_late":                  {usual: Fault{Answer: Hang, Lag: 3 * time.Second, Webhooks: tardy}},
}

// tardy is the webhook of what was not answered: it comes when the caller has
// given up, or else it would be the answer.
var tardy = Webhooks{Delay: 5 * time.Second}

// chosen is the name of the behaviour for an instruction: its payment method,
// or else the option for its kind, its own before that of its charge.
func chosen(in *instruction, ofCharge map[string]string) string {
	if in.kind == kindCharge || in.kind == kindAuthorize {
		return in.paymentMethod
	}
	for _, options := range []map[string]string{in.options, ofCharge} {
		if name, ok := options[in.kind]; ok {
			return name
		}
	}
	return "pm_ok"
}

// at is the fault at the nth send.
func (b behaviour) at(nth int) Fault {
	if nth == 1 && b.first != nil {
		return *b.first
	}
	return b.usual
}
