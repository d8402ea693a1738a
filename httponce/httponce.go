// Package httponce makes HTTP requests that may be repeated: it is the face of
// package once for net/http, on both sides of the wire.
//
//	eng, err := once.New(store, once.Config{Scope: tenantOf, Secret: secret})
//	h := httponce.Handler{Engine: eng}.Wrap(mux)
//	err = http.ListenAndServe(addr, h)
//
// A [Handler] stands around handlers that must not run twice. Each POST and PATCH
// has an Idempotency-Key; it is handed on once, and its answer is kept and given to
// every repeat. Authentication stands around the Handler, and puts the tenant where
// the engine's Scope finds it. What is wanted of requests, where it differs, is data:
// a [Route], of a [Table], or ready as [IETF07], [StripeV1], [Iceberg], [AIP155]. All
// other methods pass: they are idempotent by themselves.
//
// A [Transport] is for clients of such a server:
//
//	client := &http.Client{Transport: &httponce.Transport{}}
//
// # What a Handler promises
//
// Everything that package once does. A repeat gets the answer as it was: its status,
// its bytes, its header lines, all values in their order, and its trailers; but for
// the header lines of a connection (RFC 9110, section 7.6.1), Date, Content-Length
// (it has the right one), Request-Id and informational answers (1xx), which are of the
// moment. Lines that were there before the Handler are whoever's set them.
//
// An answer is sent when it is kept: until then it is held back. One that is flushed,
// or larger than what is kept ([once.Config].MaxAnswer), is a stream instead: it
// goes out as it is written and is kept beside, as far as there is room, and its end
// goes out when that is done. What is larger is not kept. Its key is done all the same:
// a repeat is told so (answer_not_kept), with the first Location, and never runs.
//
// A handler goes on when its client leaves. Its context ends when it returns, and when
// its key is lost, since somebody else may run then; what it answers after that is sent
// to nobody if another answer is the key's. A handler that panics leaves the outcome
// unknown: see [Route].Vanished.
//
// A request is told from another by its method, its path and query, and its body; of
// JSON (RFC 8259, 7493), only what it means counts. What handlers do with it afterwards
// changes nothing. Bodies are never stored.
//
// # What a Handler does not promise
//
// It believes what handlers answer. Where a [Finality] says that a status means that
// nothing has happened, the key is free again: a handler that answers 503 of what goes
// on, as [http.TimeoutHandler] does, belongs around a Handler, or behind one whose
// Finality says otherwise. Whatever reads the body belongs behind it, too.
//
// A request that waits for another one's answer keeps its body in memory meanwhile, and
// an answer that is held back is there, too: bound the requests at work, and MaxBody.
// Connections cannot be taken over ([http.Hijacker]). Cookies and whatever else an answer
// has are stored: see [once.Config].Encrypt.
//
// # What a Transport promises
//
// A request has one key, over all tries of it: its own, that of [WithKey], or a new one
// (UUIDv7). It is sent again if its connection breaks, whatever had been written; if
// it is answered 429, 502, 503 or 504; and where a problem (RFC 9457) says retryable
// and same_key, as a Handler's do. It is not, if a problem says that either is false.
// Pauses grow, by chance, and are no shorter than Retry-After. Each try is one request
// on the wire: [http.Transport] sends some again by itself, without a word, and is given
// none that it would.
//
// # What a Transport does not promise
//
// It cannot know whether a server honours keys: use it for those that do. It does not
// look at bodies of answers that it does not send again: one that breaks off is its
// reader's, who asks again with the same key. Redirects are not its own: what a client
// sends elsewhere has another key, unless it had one from the beginning. Under a
// request without a body, Base finds the key's header in lower case.
package httponce
