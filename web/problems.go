package web

import (
	"net/http"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// code names a problem, in words that are part of the API.
type code string

// The problems that this room finds by itself. Those of the ledger have the
// codes of its refusals.
const (
	keyMissing       code = "key_missing"
	keyMalformed     code = "key_malformed"
	badJSON          code = "bad_json"
	unauthenticated  code = "unauthenticated"
	forbidden        code = "forbidden"
	notFound              = code(ledger.NotFound)
	methodNotAllowed code = "method_not_allowed"
	requestTimeout   code = "request_timeout"
	inProgress            = code(ledger.InProgress)
	stateConflict         = code(ledger.StateConflict)
	keyExpired       code = "key_expired"
	tooLarge         code = "too_large"
	unsupportedMedia code = "unsupported_media_type"
	invalid               = code(ledger.Invalid)
	keyReused        code = "key_reused"
	rateLimited      code = "rate_limited"
	internal         code = "internal"
	overloaded       code = "overloaded"
	storeUnavailable code = "store_unavailable"

	cardDeclined       code = "card_declined"
	paymentFailed      code = "payment_failed"
	gatewayUnavailable      = code(ledger.Unavailable)
)

// problem is one class of errors of the API: what a client may do about it, and
// what its page in the reference says.
//
// Its members are exported for the pages' templates.
type problem struct {
	Code      code
	Status    int
	Title     string
	Retryable bool   // the same request may succeed later, unmended
	SameKey   bool   // with this key; otherwise only with a new one
	Text      string // for /docs/problems/CODE
}

// problems is every error that the API answers with. The codes in the OpenAPI
// document are held against it by a test.
var problems = []problem{
	{keyMissing, 400, "The Idempotency-Key is missing", false, true,
		"Every POST needs an Idempotency-Key header, so that it can be repeated safely. Choose a key for each thing that you want to happen once, such as a UUIDv7, keep it, and send it again with every retry. In a batch, each item has a member idempotency_key instead."},
	{keyMalformed, 400, "The Idempotency-Key is malformed", false, true,
		"A key is 1 to 255 visible ASCII characters, without spaces, in exactly one Idempotency-Key header. It can be sent bare or as a quoted string: abc and \"abc\" are the same key."},
	{badJSON, 400, "The body is not valid JSON", false, true,
		"The body must be one JSON text in UTF-8, nested at most 32 deep, in which no object has a member twice. The detail says at which byte it goes wrong. Nothing was executed and the key is still free."},
	{unauthenticated, 401, "The API key or the signature is missing or not valid", false, true,
		"Send your API key as Authorization: Bearer KEY. A key that was revoked is refused within two seconds. A gateway's webhook needs no API key, but must be signed as Standard Webhooks says, with the secret of its endpoint, and its timestamp must be close to the server's clock."},
	{cardDeclined, 402, "The payment was declined", false, false,
		"The customer's bank, or the gateway, said no: nothing was charged. failure.decline_code says why, if the gateway told; payment is the payment as it is. This answer is kept: a repeat, and another confirm, get the same one. To try again, create a payment with a new key; the order's reference is free for it."},
	{paymentFailed, 402, "The payment failed", false, false,
		"It certainly did not happen, and not because a card was declined: failure.code says whether the gateway rejected what was asked (gateway_rejected), could not be reached for as long as it may be tried (gateway_unavailable), or a review found that it did not happen (resolved_absent). This answer is kept: a repeat gets the same one. To try again, use a new key."},
	{forbidden, 403, "The API key may not do this", false, true,
		"This API key has the role read, which may only use GET and HEAD. Use a key with the role full."},
	{notFound, 404, "There is no such resource", false, true,
		"There is nothing at this address, or it belongs to somebody else, which looks the same."},
	{methodNotAllowed, 405, "The resource does not have this method", false, true,
		"The Allow header lists the methods that this address has."},
	{requestTimeout, 408, "The body did not arrive in time", true, true,
		"A gateway's webhook must arrive within 5 seconds from its header on. Nothing of it was read: send it again."},
	{inProgress, 409, "Something else is still in progress", true, true,
		"The first request with this key has no final answer yet; or something else was asked of the payment and its outcome is not known yet, such as a capture while another one is at the gateway. The detail says which. Nothing of this request began. Send the same request again, with the same key, after the time in Retry-After. Prefer: wait=SECONDS says how long a repeat waits for the first request before it is told this."},
	{code(ledger.AlreadyExists), 409, "The resource exists already", false, false,
		"An account with this id was opened before, under another key. Read it, or choose another id and a new key."},
	{keyExpired, 409, "The key's window is over", false, false,
		"This key was used, or made, longer ago than the window in which answers are kept, so it is never executed again. Find out what became of it by reading the resource or by its reference, before you try with a new key."},
	{stateConflict, 409, "The resource is in another state", false, false,
		"The resource is past what was asked: a transfer was posted, voided, expired or reversed already, an account is closed or not empty, or a payment has a status in which this cannot be done, or its gateway refused to cancel it. Read it to see where it stands. This answer is kept under the key."},
	{code(pay.ReferenceConflict), 409, "The order has another payment", false, false,
		"There is a payment with this reference already, of another amount or currency, and it is neither failed nor canceled. An order is paid once: read that payment, cancel it if it is wrong, or use the reference of another order. This answer is kept under the key."},
	{tooLarge, 413, "The body is too large", false, true,
		"A body has at most 1 MiB and 1,024 values and names, that of a batch 8 MiB and 128,000."},
	{unsupportedMedia, 415, "The body is not sent as JSON", false, true,
		"Send the body with Content-Type: application/json, in UTF-8 and without a Content-Encoding. A request without a body needs no Content-Type."},
	{invalid, 422, "The request is not valid", false, true,
		"Something about the body or the query is wrong, by form or by meaning; errors lists what, each with a JSON pointer into the body, or the name of a query parameter. Nothing was executed: mend it and send it again with the same key."},
	{keyReused, 422, "The key was used for another request", false, false,
		"Another request was sent with this key before: with another body, another path or another method. Nothing was executed and nothing of the other request is shown. Use a key for one request only."},
	{code(ledger.InsufficientFunds), 422, "The account has not enough money", false, false,
		"The debit would leave less available than the account's min_balance allows. Money that is held is not available. This answer is kept under the key: a new attempt needs a new key."},
	{code(ledger.CurrencyMismatch), 422, "The currencies differ", false, false,
		"An account holds one currency, and a transfer moves that currency. This answer is kept under the key."},
	{code(ledger.AccountClosed), 422, "The account is closed", false, false,
		"A closed account takes part in nothing. This answer is kept under the key."},
	{code(ledger.ExceedsHold), 422, "The amount is more than is held", false, false,
		"A hold is posted in full or in part, never for more. This answer is kept under the key."},
	{code(pay.ExceedsAuthorized), 422, "The amount is more than can be captured", false, false,
		"All captures of a payment together are at most what was authorized. This answer is kept under the key."},
	{code(pay.ExceedsCaptured), 422, "The amount is more than can be refunded", false, false,
		"All refunds of a payment together are at most what was captured. Refunds whose outcome is not known yet count. This answer is kept under the key."},
	{code(ledger.BalanceOverflow), 422, "The balance would be too large", false, false,
		"A balance, with every hold counted as if it were posted, must fit a signed 64-bit integer of minor units. This answer is kept under the key."},
	{rateLimited, 429, "Too many requests", true, true,
		"Your tenant sends more than its configured rate. Nothing began: send the same request again after the time in Retry-After. A key that has an answer is answered all the same."},
	{internal, 500, "Something went wrong in the server", true, true,
		"This is a defect of the server; its log has the request_id. Whether anything was executed is not known here: send the same request again with the same key, and it happens at most once."},
	{overloaded, 503, "The server has too much to do", true, true,
		"More requests wait, or more bodies are at work, than the server has room for, or it is shutting down. Nothing began. Send the same request again, with the same key, after the time in Retry-After."},
	{gatewayUnavailable, 503, "The gateway takes nothing just now", true, true,
		"The payment's gateway fails, or has too much to do, so nothing new is sent there: better not begun than in doubt. Nothing began. Send the same request again, with the same key, after the time in Retry-After."},
	{storeUnavailable, 503, "The store is not available", true, true,
		"The server could not read or write its store. Send the same request again, with the same key, after the time in Retry-After."},
}

// find returns the problem of a code; every code has one.
func (c code) find() *problem {
	for i := range problems {
		if problems[i].Code == c {
			return &problems[i]
		}
	}
	return internal.find()
}

// retryAfter is how many seconds a client should let pass, "" if it need not
// come again.
func (p *problem) retryAfter() string {
	if p.Retryable && p.Status != http.StatusInternalServerError {
		return "1"
	}
	return ""
}
