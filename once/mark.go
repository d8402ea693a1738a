package once

// Mark is the record of an operation that is done if, and only if, the transaction that
// writes it is committed: it says so from the beginning, since nobody sees it before the
// end. It is for a store that joins the caller's transactions, and is written where nothing
// is known of the key yet; what is known goes through [Engine.Begin]. There is no answer to be
// given again: an [Operation] is told ErrNotKept.
//
// It fails with an ErrMalformedKey, and with an ErrExpired if the key says of itself that it is older
// than the window: then Begin knows more.
func (e *Engine) Mark(req Request) (Record, error) {
	if err := CheckID(req.Key.ID); err != nil {
		return Record{}, err
	}
	ends := e.rules.ends(req.Key.ID)
	if !ends.IsZero() && ends.Before(e.clock.now()) {
		return Record{}, ErrExpired
	}
	req.Key = e.stored(req.Key)
	claim := Record{Key: req.Key}.claim(req, e.clock.now(), e.rules)
	claim.Owner, claim.Version = e.newOwner(), 1
	return claim.Complete(claim.Attempt, "", Answer{Status: statusDone, Dropped: true})
}
