package outbox

import "context"

// Sink is where events go. Its methods are safe for concurrent use.
// contract.TestBroker holds a broker's to this.
type Sink interface {
	// Publish sends a message, and does not wait until it has arrived. done is called once,
	// by any goroutine: with nil when the sink keeps the message as durably as it ever
	// will, with an error if it does not, or if nobody knows. It is the caller who publishes it
	// again. Messages that one goroutine publishes to a sink that is well arrive in their order.
	// Publish may wait for the sink to get ready, but not after ctx has ended.
	Publish(ctx context.Context, m Message, done func(error))
}

// Message is an event as it is published. Nobody may change it.
type Message struct {
	Placed
	Envelope []byte // see AppendEnvelope
}
