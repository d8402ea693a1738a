package pay

import (
	"time"

	"github.com/oncepay/oncepay/internal/id"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// A store can forget what it had reported as written: a standby that lagged took over,
// or a backup was restored. House.Forgot is until when that may be so. What was written
// before then may have gone on, and been sent, in a past that nobody here knows of. Its
// operations had ids that are lost, so no gateway can be asked about them. So
//
//   - nothing new is begun that may have been begun in that past: it is refused, and
//     nothing began;
//   - what is known of an operation is not all: it may have been sent, by somebody who
//     may still be at it. It is asked about, sent again only where the gateway still
//     promises to do its id once, and else left to a human.

// keySkew is how far ahead the clock of a client may be that puts the time into its keys.
const keySkew = 5 * time.Minute

// unsure says whether more may have been done about what was made at a time than is known.
func (k Clock) unsure(made time.Time) bool {
	return !k.Forgot.IsZero() && !made.After(k.Forgot.Add(k.Apart))
}

// mayBeForgotten refuses a request with Unavailable whose key is not known, unless the
// key itself says that it is younger than what was forgotten.
func (h House) mayBeForgotten(k once.Key) error {
	if h.Forgot.IsZero() {
		return nil
	}
	if made, dated := id.UUIDTime(k.ID); dated && made.After(h.Forgot.Add(h.Apart+keySkew)) {
		return nil
	}
	return h.forgot()
}

// mayHaveGoneOn refuses with Unavailable to begin anything for a payment of which not all
// is known.
func (h House) mayHaveGoneOn(p *Payment, m ledger.Moment) error {
	if h.Clock(m.Now).unsure(p.CreatedAt) {
		return h.forgot()
	}
	return nil
}

func (h House) forgot() error {
	return refuse(ledger.Unavailable, "",
		"the store may have lost what was done before %s; nothing was begun, and nothing is that may have been then until the operator has compared it with the gateway",
		h.Forgot.UTC().Format(time.RFC3339))
}

// doubted is an operation as it must be taken where not all is known of it.
func (o *Operation) doubted(k Clock) *Operation {
	if !o.open() || !k.unsure(o.CreatedAt) {
		return o
	}
	o = new(*o)
	o.Exposed, o.Adrift = true, max(o.Adrift, 1)
	return o
}
