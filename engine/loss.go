package engine

import "time"

// Loss is a time at which a store may have lost commits that it had reported: what an
// operator is told of it, and has said.
type Loss struct {
	Number  int64     `json:"number"`
	Cause   string    `json:"cause"`    // how it was noticed, in words
	NotedAt time.Time `json:"noted_at"` // by the store's clock
	Forgot  time.Time `json:"forgot"`   // commits from before may be missing

	// What ended the caution; zero while it lasts.
	EndedAt  time.Time `json:"ended_at,omitzero"`
	Evidence string    `json:"evidence,omitempty"`
	Actor    string    `json:"actor,omitempty"`
}

// LossMargin is how much later than the moment at which a loss is noticed a lost commit may
// be: clocks differ, and a server that was given up goes on for up to half a minute until
// whoever watches it has stopped it.
const LossMargin = time.Minute
