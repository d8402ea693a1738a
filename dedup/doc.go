// Package dedup answers one question, durably and millions of times a second: was
// this id seen in the window?
//
//	index, err := dedup.Open(dir, dedup.Config{Window: 24 * time.Hour})
//	answers, err := index.Seen(ctx, dedup.Durable, ids, nil)
//	if answers[0].Duplicate { ... } // first seen at answers[0].At
//
// An [Index] is a directory. Ids of the last moments stand in a table in memory and in
// a log; when the table is full it is sealed into a segment, a sorted file that never
// changes, behind a filter in memory. Segments of an eighth of the window are merged
// into one, and dropped as a file when the window has passed.
//
// # What is promised
//
// An id is told to be first once in a window. All later questions about it get
// Duplicate and the time of the first, through kill -9 and power cuts, until the window
// has passed since that time; then it is first again, at most two milliseconds later.
// A duplicate is told only of an id that was given before: ids are told apart by 128
// bits of a keyed hash, under a random key of the directory, so that nobody can make two
// ids that meet. That any two of 86.4 billion ids in a window meet, a million a second
// for a day, has a probability of n²/2¹²⁹ = 1.1·10⁻¹⁷.
//
// With [Durable] no answer is given before that which it tells of is on disk, also where
// somebody else's question put it there. With [AtOnce] firsts are told before that;
// duplicates never are.
//
// What is refused with [ErrFull] was not recorded, and will not be. Damage to a file is
// noticed, and never answered from.
//
// # What is not promised
//
// Of a question that failed with anything but [ErrFull], or that was abandoned, or whose
// process died, nobody knows whether its ids were recorded: asked again they may be
// duplicates of themselves. Firsts told [AtOnce] may be forgotten by a crash.
//
// The window is measured by the clock that is given. Where that goes back, the index's
// time stands still until it has caught up, so ids live longer; where it is set forward,
// they live shorter by as much. A window that is made longer is that long for ids that
// come from then on.
package dedup
