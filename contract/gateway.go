package contract

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// GatewayFixture says how the connectors of a kind are made, and what they can be
// asked. Its functions fail the test themselves, and clean up with it.
type GatewayFixture struct {
	// Far makes another side that is new and well-behaved: it does what it is
	// asked, once for each id, answers at once, and finds all of it at once. Where
	// it says how long to wait for an answer, it says timeout. All that goes wrong
	// is added between it and the connector.
	Far func(t testing.TB, timeout time.Duration) http.Handler

	// Connect makes a connector of what answers at a URL, one that is ready to be
	// called. It waits for an answer for timeout.
	Connect func(t testing.TB, url string, timeout time.Duration) pay.Gateway

	// Reads says what a request on the wire is about: which operation, and whether
	// it asks for it or about it. No operation is "".
	Reads func(*http.Request) (operation string, asksFor bool)

	// Fine, Declined and Refused make calls for an operation with that id: one that
	// the other side carries out, one that a customer's bank declines, and one that
	// the other side certainly does nothing about.
	Fine, Declined, Refused func(operation string) pay.Call
}

// visit is a connector, its other side, and the street between them.
type visit struct {
	testing.TB
	*street
	f       GatewayFixture
	timeout time.Duration
	gateway pay.Gateway
}

func newVisit(t testing.TB, f GatewayFixture, p gatewayPromise) *visit {
	v := &visit{TB: t, f: f, timeout: enough}
	if p.hasty {
		v.timeout = hasty
	}
	v.street = newStreet(t, f.Far(t, v.timeout), f.Reads)
	v.gateway = f.Connect(t, v.url(), v.timeout)
	return v
}

// How long a connector waits for its answers: enough for a busy machine, where
// they come; and where none does, not so long.
const (
	enough = 20 * time.Second
	hasty  = 800 * time.Millisecond
)

// gatewayPromise is something that a gateway promises, as a sentence, and its
// test.
type gatewayPromise struct {
	name  string
	keep  func(*visit)
	hasty bool // what is asked is not answered
}

// TestGateway holds a connector to what pay.Gateway promises: a send is one
// request at most, with the operation's id, whatever the other side does; what
// may have arrived is unknown; what is said to have never left did not; a check
// moves nothing.
func TestGateway(t *testing.T, f GatewayFixture) {
	for _, p := range slices.Concat(sending, failing(), checking) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.keep(newVisit(t, f, p))
		})
	}
}

// send sends, and checks what is true of every finding.
func (v *visit) send(ctx context.Context, c pay.Call) pay.Finding {
	f := v.gateway.Send(ctx, c)
	v.discreet(&f)
	return f
}

// check is send for a check.
func (v *visit) check(ctx context.Context, c pay.Call) pay.Finding {
	f := v.gateway.Check(ctx, c)
	v.discreet(&f)
	return f
}

// discreet fails if a finding's detail holds what only a body does.
func (v *visit) discreet(f *pay.Finding) {
	v.Helper()
	if len(f.Detail) > 100 || containsSecret(f.Detail) {
		v.Errorf("the detail is %q: it is for people, short, and holds nothing of an answer", f.Detail)
	}
}

// wantUnknown fails if anything else is said of a send that may have arrived.
func (v *visit) wantUnknown(f pay.Finding) {
	v.Helper()
	want := pay.Finding{Detail: f.Detail}
	if f != want || f.Detail == "" {
		v.Errorf("it may have arrived, and is told as %+v; want an unknown one with a detail", f)
	}
}

// wantSends fails if the other side was asked for something else than these.
func (v *visit) wantSends(operations ...string) {
	v.Helper()
	got := v.sends()
	slices.Sort(got)
	slices.Sort(operations)
	if !slices.Equal(got, operations) {
		v.Errorf("the other side was asked for %q, want %q", got, operations)
	}
}

// within fails if something takes longer than a connector may wait, and what a
// busy machine adds.
func (v *visit) within(what string, do func()) {
	v.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > v.timeout+5*time.Second {
		v.Errorf("%s took %v, and its time was %v", what, took, v.timeout)
	}
}

// soon fails if something takes half of the connector's time in each of some
// tries: a busy machine is slow once, a connector that waits is so each time.
func (v *visit) soon(what string, do func(operation string)) {
	v.Helper()
	for i := range 3 {
		began := time.Now()
		do("att_" + string(rune('a'+i)))
		if time.Since(began) < v.timeout/2 {
			return
		}
	}
	v.Errorf("%s took more than half of %v each time", what, v.timeout)
}

// many runs something many times at once.
func many(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}
