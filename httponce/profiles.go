package httponce

// Profiles: what others have written down, as routes. Each can be copied and
// changed: it is a value. The finality of all of them rests on one promise of the
// handlers behind, which nobody can check here: an answer that means [Nothing] is
// given before anything has begun.

// IETF07 is draft-ietf-httpapi-idempotency-key-header-07, with what the draft leaves
// to the resource as this service's own API has it: a key is required, 2xx and
// refusals by the state of things are final, what was refused for its form, its
// credentials or for load (400, 401, 403, 404, 413, 415, 429, 503…) was never begun
// and may come again mended, and any other 5xx is unknown.
//
// 422 is final, since many use it for a refusal by the state of things: a client
// that was told no must be able to rely on it, also when a duplicate is still on its
// way. A handler that means the form says so with [NothingHappened].
//
// A 202 is final, too: it is the request's answer, and a repeat must not begin
// again what goes on. A redirect that has the client send the very request
// elsewhere (307, 308) has done nothing.
var IETF07 = Route{Finality: Finality{
	{307, 308, Nothing},
	{200, 399, Final},
	{400, 401, Nothing},
	{403, 408, Nothing},
	{411, 417, Nothing},
	{421, 421, Nothing},
	{425, 426, Nothing},
	{428, 431, Nothing},
	{400, 499, Final}, // all others: 402, 409, 410, 422, 423, 424, 451
	{503, 503, Nothing},
}}

// StripeV1 is what version 1 of Stripe's API does (https://docs.stripe.com/api/idempotent_requests,
// https://docs.stripe.com/api/errors): keys are optional; the first answer of an
// execution is kept, whatever it is, 500 too; what failed validation or
// authentication, was over the rate, or ran into another request is not kept. A key
// that was used for other parameters is a 400, and a replay says Idempotent-Replayed.
// Keys are for POST there; here a PATCH may have one as well.
var StripeV1 = Route{
	Optional: true, Replayed: "Idempotent-Replayed", Mismatch: 400,
	Finality: Finality{
		{400, 401, Nothing},
		{403, 403, Nothing},
		{409, 409, Nothing},
		{429, 429, Nothing},
		{200, 599, Final},
	},
}

// Iceberg is the Apache Iceberg REST catalog's (rest-catalog-open-api.yaml in
// https://github.com/apache/iceberg, the parameter Idempotency-Key): keys are
// optional and version 7 UUIDs; 2xx and deterministic 4xx, such as a 409 for a table
// that exists, are final; 5xx are not. Of those, 503 was not begun, and the others
// are unknown: set Vanished to Rerun where commits check what they are based on.
// Credentials (401, 403, 419), time-outs and rates are not deterministic.
//
// The catalog's DELETEs pass: a DELETE is idempotent by itself.
var Iceberg = Route{
	Optional: true, UUIDv7: true,
	Finality: Finality{
		{200, 299, Final},
		{401, 401, Nothing},
		{403, 403, Nothing},
		{408, 408, Nothing},
		{419, 419, Nothing},
		{429, 429, Nothing},
		{400, 499, Final},
		{503, 503, Nothing},
	},
}

// AIP155 is Google's request identification (https://google.aip.dev/155): the key is
// the member request_id of the body, optional, and a duplicate is given the answer
// of the request that succeeded. What failed may be sent again. Of 5xx, 501 and 503
// were not begun, and the others are unknown. Where bodies are ProtoJSON with its
// own spelling, set Pointer to "/requestId".
var AIP155 = Route{
	Optional: true, Pointer: "/request_id",
	Finality: Finality{
		{200, 299, Final},
		{300, 499, Nothing},
		{501, 501, Nothing},
		{503, 503, Nothing},
	},
}

// Profiles are the ready routes by the names that a configuration calls them by.
func Profiles() map[string]Route {
	return map[string]Route{"ietf-07": IETF07, "stripe-v1": StripeV1, "iceberg": Iceberg, "aip-155": AIP155}
}
