package once_test

import (
	"context"
	"slices"
	"testing"

	"github.com/oncepay/oncepay/once"
)

func TestAllObserversAreToldInTheirOrder(t *testing.T) {
	var told []string
	by := func(name string) func(context.Context, once.Event) {
		return func(_ context.Context, e once.Event) { told = append(told, name+" "+e.Happening.String()) }
	}
	once.ObserveAll(by("first"), by("second"))(t.Context(), once.Event{Happening: once.HasParked})
	if want := []string{"first parked", "second parked"}; !slices.Equal(told, want) {
		t.Errorf("they were told %q, want %q", told, want)
	}
}
