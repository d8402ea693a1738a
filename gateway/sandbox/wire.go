package sandbox

// What is on the wire, from this side.

// executionBody is one execution of an operation.
type executionBody struct {
	Operation   string `json:"operation"`
	Kind        string `json:"kind"`
	Status      string `json:"status"`
	GatewayID   string `json:"gateway_id"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
	ActionURL   string `json:"action_url,omitempty"`
	DeclineCode string `json:"decline_code,omitempty"`
	Message     string `json:"message,omitempty"`
}

// lookupBody is what is known of an operation: more than one execution if it
// ran more than once.
type lookupBody struct {
	Operation  string          `json:"operation"`
	Executions []executionBody `json:"executions"`
	LagMillis  int64           `json:"lag_ms"`
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// errorBody is a refusal. Operation is what it is about: an error without it is
// about none, and says nothing of any. LagMillis is there for a lookup that found
// nothing.
type errorBody struct {
	Operation string  `json:"operation,omitempty"`
	Error     problem `json:"error"`
	LagMillis *int64  `json:"lag_ms,omitempty"`
}

// contractBody is what the gateway declares.
type contractBody struct {
	WindowMillis    int64  `json:"window_ms"`
	Lookup          bool   `json:"lookup"`
	LookupLagMillis int64  `json:"lookup_lag_ms"`
	InFlightMillis  int64  `json:"in_flight_ms"`
	TimeoutMillis   int64  `json:"timeout_ms"`
	LagKnown        bool   `json:"lag_known"`
	Captures        string `json:"captures"`
	PartialCapture  bool   `json:"partial_capture"`
}

// eventBody is what a webhook says.
type eventBody struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Operation string `json:"operation"`
	Payment   string `json:"payment"`
	GatewayID string `json:"gateway_id"`
	Status    string `json:"status"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	At        string `json:"at"`
}

// What an operation can be, and what can become of it.
const (
	kindCharge    = "charge"
	kindAuthorize = "authorize"
	kindCapture   = "capture"
	kindVoid      = "void"
	kindRefund    = "refund"

	statusSucceeded      = "succeeded"
	statusDeclined       = "declined"
	statusRequiresAction = "requires_action"
)
