package web

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// route is an address and what it does.
type route struct {
	path      string // a pattern of http.ServeMux
	endpoints []*endpoint
	allow     string // the Allow header
}

// endpoint is one method of a route.
type endpoint struct {
	method string
	serve  func(*exchange)
	open   bool // needs no API key
	keyed  bool // needs an Idempotency-Key
	own    bool // sees to the tenant's rate itself: a known key is answered over it too
	series *series
}

// table is every route that there is.
func (a *API) table() []*route {
	routes := []*route{
		{path: "/v1/accounts", endpoints: []*endpoint{
			keyed("POST", openAccount), get((*exchange).listAccounts)}},
		{path: "/v1/accounts/{id}", endpoints: []*endpoint{
			get((*exchange).showAccount), put((*exchange).updateAccount)}},
		{path: "/v1/accounts/{id}/close", endpoints: []*endpoint{keyed("POST", closeAccount)}},
		{path: "/v1/accounts/{id}/entries", endpoints: []*endpoint{get((*exchange).listEntries)}},
		{path: "/v1/transfers", endpoints: []*endpoint{
			keyed("POST", createTransfer), get((*exchange).listTransfers)}},
		{path: "/v1/transfers/batch", endpoints: []*endpoint{{method: "POST", own: true, serve: (*exchange).batch}}},
		{path: "/v1/transfers/{id}", endpoints: []*endpoint{get((*exchange).showTransfer)}},
		{path: "/v1/transfers/{id}/post", endpoints: []*endpoint{keyed("POST", postTransfer)}},
		{path: "/v1/transfers/{id}/void", endpoints: []*endpoint{keyed("POST", voidTransfer)}},
		{path: "/v1/transfers/{id}/reverse", endpoints: []*endpoint{keyed("POST", reverseTransfer)}},
		{path: paymentPath, endpoints: []*endpoint{
			keyed("POST", createPayment), get((*exchange).listPayments)}},
		{path: "/v1/payments/{id}", endpoints: []*endpoint{get((*exchange).showPayment)}},
		{path: "/v1/payments/{id}/confirm", endpoints: []*endpoint{{method: "POST", serve: (*exchange).confirm}}},
		{path: "/v1/payments/{id}/capture", endpoints: []*endpoint{keyed("POST", capturePayment)}},
		{path: "/v1/payments/{id}/cancel", endpoints: []*endpoint{keyed("POST", cancelPayment)}},
		{path: "/v1/payments/{id}/refunds", endpoints: []*endpoint{
			keyed("POST", refundPayment), get((*exchange).listRefunds)}},
		{path: "/v1/payments/{id}/timeline", endpoints: []*endpoint{get((*exchange).showTimeline)}},
		{path: "/v1/payments/{id}/check", endpoints: []*endpoint{{method: "POST", keyed: true, own: true, serve: (*exchange).check}}},
		{path: "/v1/payments/{id}/resolve", endpoints: []*endpoint{keyed("POST", resolvePayment)}},
		{path: "/v1/refunds/{id}", endpoints: []*endpoint{get((*exchange).showRefund)}},
		{path: "/v1/gateways/{gateway}/webhooks/{endpoint}", endpoints: []*endpoint{
			{method: "POST", open: true, serve: (*exchange).takeNotice}}},
		{path: "/v1/keys", endpoints: []*endpoint{get((*exchange).showKey)}},
		{path: "/v1/events", endpoints: []*endpoint{get((*exchange).listEvents)}},
		{path: "/v1/events/tail", endpoints: []*endpoint{get((*exchange).tailEvents)}},
		{path: "/livez", endpoints: []*endpoint{public((*exchange).live)}},
		{path: "/healthz", endpoints: []*endpoint{public((*exchange).live)}},
		{path: "/readyz", endpoints: []*endpoint{public((*exchange).ready)}},
		{path: "/metrics", endpoints: []*endpoint{public((*exchange).showMetrics)}},
		{path: "/openapi.json", endpoints: []*endpoint{public((*exchange).showOpenAPI)}},
		{path: "/docs", endpoints: []*endpoint{public((*exchange).showReference)}},
		{path: "/docs/problems/{$}", endpoints: []*endpoint{public((*exchange).showProblems)}},
		{path: "/docs/problems/{code}", endpoints: []*endpoint{public((*exchange).showProblem)}},
		{path: "/{$}", endpoints: []*endpoint{public((*exchange).showHome)}},
	}
	if a.webhooks == nil {
		return routes
	}
	return append(routes,
		&route{path: endpointPath, endpoints: []*endpoint{done((*exchange).createEndpoint), get((*exchange).listEndpoints)}},
		&route{path: endpointPath + "/{id}", endpoints: []*endpoint{
			get((*exchange).showEndpoint), put((*exchange).updateEndpoint), {method: http.MethodDelete, serve: (*exchange).deleteEndpoint}}},
		&route{path: endpointPath + "/{id}/secret", endpoints: []*endpoint{get((*exchange).showSecret), put((*exchange).rotateSecret)}},
		&route{path: endpointPath + "/{id}/redeliver", endpoints: []*endpoint{done((*exchange).redeliverDead)}},
		&route{path: endpointPath + "/{id}/deliveries", endpoints: []*endpoint{get((*exchange).listDeliveries)}},
		&route{path: endpointPath + "/{id}/deliveries/{event}", endpoints: []*endpoint{get((*exchange).showDelivery)}},
		&route{path: endpointPath + "/{id}/deliveries/{event}/redeliver", endpoints: []*endpoint{done((*exchange).redeliver)}},
	)
}

// done is a keyed POST that is done beside the ledger; see deed.
func done(serve func(*exchange)) *endpoint {
	return &endpoint{method: http.MethodPost, keyed: true, own: true, serve: serve}
}

func keyed(method string, op *operation) *endpoint {
	return &endpoint{method: method, keyed: true, own: true, serve: func(x *exchange) { x.execute(op) }}
}

func get(serve func(*exchange)) *endpoint { return &endpoint{method: http.MethodGet, serve: serve} }
func put(serve func(*exchange)) *endpoint { return &endpoint{method: http.MethodPut, serve: serve} }

// public is a GET that needs no API key.
func public(serve func(*exchange)) *endpoint {
	return &endpoint{method: http.MethodGet, serve: serve, open: true}
}

func (a *API) register(routes []*route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range routes {
		methods := []string{http.MethodOptions}
		for _, e := range rt.endpoints {
			e.series = a.metrics.series(e.method + " " + rt.path)
			methods = append(methods, e.method)
			if e.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
		slices.Sort(methods)
		rt.allow = strings.Join(methods, ", ")
		mux.Handle(rt.path, rt)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.(*exchange).refuse(notFound, "There is nothing at this address; /docs says what there is.")
	})
	return mux
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{ResponseWriter: w, api: a, r: r, id: a.ids.next(began)}
	x.set("Request-Id", x.id)
	defer x.finish(began)
	if !isClean(r.URL.EscapedPath()) { // the mux would redirect, and a redirected POST is no POST any more
		x.refuse(notFound, "There is nothing at this address: a path here has no empty segment and no . or .. in it.")
		return
	}
	a.mux.ServeHTTP(x, r)
}

// isClean says whether path.Clean would leave a path alone but for a slash at
// its end.
func isClean(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path, "/./") &&
		!strings.Contains(path, "/../") && !strings.HasSuffix(path, "/.") && !strings.HasSuffix(path, "/..")
}

// ServeHTTP finds the endpoint of the request's method.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange) // the only one that calls: API.ServeHTTP
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, e := range rt.endpoints {
		if e.method == method {
			x.end = e
			x.serve()
			return
		}
	}
	x.set("Allow", rt.allow)
	if r.Method == http.MethodOptions {
		x.WriteHeader(http.StatusNoContent)
		return
	}
	x.refuse(methodNotAllowed, "This address has the methods "+rt.allow+".")
}

// serve answers, once it is known who asks, if that matters.
func (x *exchange) serve() {
	if !x.end.open && !x.authenticate() {
		return
	}
	if t := x.caller.tenant; t != nil && !x.end.own && !t.take() {
		x.send(x.overRate())
		return
	}
	x.end.serve(x)
}
