// Package telemetry is what the rooms that measure engines have in common, so that
// their figures can be compared.
package telemetry

import (
	"strings"
	"sync"
)

// Buckets are the upper bounds of durations, in seconds: from a key in memory to the
// longest that a client may ask to wait.
var Buckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// MaxOperations is how many operations are told apart, if nothing else is said. Each
// costs some 40 series.
const MaxOperations = 100

// Other is what all operations are called that come after.
const Other = "other"

// Operations bounds how many operations are told apart: a face that has no rule for a
// path names it by that, and whoever sends requests could make series without end.
// The zero value has no room; it is safe for concurrent use.
type Operations struct {
	Max int

	mu   sync.Mutex
	seen map[string]string
}

// Name is what an operation is called: itself, as UTF-8, or Other.
func (o *Operations) Name(operation string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if name, known := o.seen[operation]; known {
		return name
	}
	if len(o.seen) >= o.Max {
		return Other
	}
	if o.seen == nil {
		o.seen = map[string]string{}
	}
	o.seen[operation] = strings.ToValidUTF8(operation, "?")
	return o.seen[operation]
}
