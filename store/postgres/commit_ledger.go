package postgres

import (
	"cmp"
	"slices"

	"github.com/oncepay/oncepay/ledger"
)

func compareRefs(a, b ledger.Ref) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
}

// sorted are the rows that are at their first version, and the others, in the order of
// their names.
func sorted[T any](rows []T, first func(T) bool, compare func(a, b T) int) (made, changed []T) {
	for _, r := range rows {
		if first(r) {
			made = append(made, r)
		} else {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(made, compare)
	slices.SortFunc(changed, compare)
	return made, changed
}

func (w *writing) sortedTransfers() (made, changed []*ledger.Transfer) {
	return sorted(w.changes.Ledger.Transfers, func(t *ledger.Transfer) bool { return t.Version == 1 },
		func(a, b *ledger.Transfer) int { return compareRefs(a.Ref, b.Ref) })
}

func transferColumns(transfers []*ledger.Transfer) *columns {
	var c columns
	for _, t := range transfers {
		c.next().text(t.Tenant).text(t.ID).int(int64(t.Status)).text(t.From).text(t.To).int(t.Amount).int(t.AmountPosted).text(string(t.Currency)).
			textOrNull(t.Reference).textOrNull(t.Reverses).textOrNull(t.ReversedBy).timeOrNull(t.ExpiresAt).metadata(t.Metadata).
			time(t.CreatedAt).int(t.Version).textOrNull(t.Operation)
	}
	return &c
}

var (
	changeTransfers = transfersTable.change()
	insertTransfers = transfersTable.insert()
	insertEntries   = entriesTable.insert()
	insertMarks     = marksTable.insert()
	insertEvents    = eventsTable.insert()
)

func (w *writing) changeTransfers() {
	_, changed := w.sortedTransfers()
	c := transferColumns(changed)
	w.put(changeTransfers, c, c.rows)
}

func (w *writing) insertTransfers() {
	made, _ := w.sortedTransfers()
	w.put(insertTransfers, transferColumns(made))
}

// markEvery is how many entries of an account lie between two marks.
const markEvery = 256

func (w *writing) insertEntries() {
	num := make(map[ledger.Ref]int64, len(w.nums))
	for i, a := range w.changes.Ledger.Accounts {
		num[a.Ref] = w.nums[i]
	}
	var c, marks columns
	for i := range w.changes.Ledger.Entries {
		e := &w.changes.Ledger.Entries[i]
		account := num[e.Account]
		c.next().int(e.Seq).int(account).text(e.Transfer).int(int64(e.Kind)).
			int(e.Delta.Posted).int(e.Delta.Outgoing).int(e.Delta.Incoming).
			int(e.After.Posted).int(e.After.Outgoing).int(e.After.Incoming).int(e.Prev).int(e.Ordinal).time(e.At)
		if e.Ordinal%markEvery == 0 {
			marks.next().int(account).time(e.At).int(e.Seq)
		}
	}
	w.put(insertEntries, &c)
	w.put(insertMarks, &marks)
}

func (w *writing) insertEvents() {
	var c columns
	for i := range w.changes.Ledger.Events {
		e := &w.changes.Ledger.Events[i]
		c.next().text(e.Tenant).text(e.ID).text(e.Type).text(e.Subject).time(e.At).text(string(e.Data))
	}
	w.put(insertEvents, &c)
}
