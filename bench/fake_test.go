package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A fake obeys the part of the contract that a run needs, and breaks it as told.
type fake struct {
	*httptest.Server
	lie lie

	mu        sync.Mutex
	accounts  map[string]int64
	transfers map[string]receipt
	answers   map[string][]byte // by key
	posts     map[string]int    // requests by path
	hold      func(n int) fate  // what becomes of the n-th POST of a transfer; may be nil
	orders    int
}

// A lie is told about every tenth transfer.
type lie string

const (
	honest      lie = ""
	lost        lie = "a transfer is answered and not stored"
	doubled     lie = "a transfer is booked twice"
	otherBytes  lie = "a replay has other bytes"
	unmarked    lie = "a replay is not marked"
	offByOne    lie = "a balance is one off"
	otherAmount lie = "a transfer is stored with another amount"
	otherAnswer lie = "a transfer is answered with another amount"
	runsAnew    lie = "a key is executed again"
)

// fate is what a broken network does to a request.
type fate int

const (
	arrives    fate = iota
	lostBefore      // nothing happens, the connection breaks
	lostAfter       // it is executed, the connection breaks
	busy            // 503
)

func newFake(t testing.TB, l lie) *fake {
	f := &fake{lie: l, accounts: map[string]int64{}, transfers: map[string]receipt{}, answers: map[string][]byte{},
		posts: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/accounts", f.open)
	mux.HandleFunc("GET /v1/accounts/{id}", f.account)
	mux.HandleFunc("POST /v1/transfers", f.transfer)
	mux.HandleFunc("POST /v1/transfers/batch", f.batch)
	mux.HandleFunc("GET /v1/transfers/{id}", f.read)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.posts[r.Method+" "+r.URL.Path]++
		f.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer sk_dev" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) open(w http.ResponseWriter, r *http.Request) {
	var a struct {
		ID         string           `json:"id"`
		Currency   string           `json:"currency"`
		MinBalance *json.RawMessage `json:"min_balance"`
	}
	if json.NewDecoder(r.Body).Decode(&a) != nil || a.Currency != "EUR" || r.Header.Get("Idempotency-Key") == "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts[a.ID] = 0
	w.WriteHeader(http.StatusCreated)
}

func (f *fake) account(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	posted, ok := f.accounts[r.PathValue("id")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if f.lie == offByOne && strings.HasSuffix(r.PathValue("id"), "-1") {
		posted++
	}
	fmt.Fprintf(w, `{"id":%q,"balance":{"posted":%d}}`, r.PathValue("id"), posted)
}

func (f *fake) transfer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.suffer(w, func() func() {
		out, replayed := f.book(r.Header.Get("Idempotency-Key"), body)
		return func() {
			if replayed {
				w.Header().Set("Idempotency-Replayed", "true")
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(out)
		}
	})
}

// suffer executes and answers, as far as the network lets it.
func (f *fake) suffer(w http.ResponseWriter, execute func() (answer func())) {
	switch f.next() {
	case lostBefore:
		hangUp(w)
	case lostAfter:
		execute()
		hangUp(w)
	case busy:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		execute()()
	}
}

func (f *fake) next() fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders++
	if f.hold == nil {
		return arrives
	}
	return f.hold(f.orders)
}

func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func (f *fake) batch(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Transfers []json.RawMessage `json:"transfers"`
	}
	if json.NewDecoder(r.Body).Decode(&b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.suffer(w, func() func() {
		results := f.bookAll(b.Transfers)
		return func() { fmt.Fprintf(w, `{"results":[%s]}`, results) }
	})
}

func (f *fake) bookAll(items []json.RawMessage) string {
	var results []string
	for _, item := range items {
		var key struct {
			Key string `json:"idempotency_key"`
		}
		_ = json.Unmarshal(item, &key)
		out, replayed := f.book(key.Key, item)
		results = append(results, fmt.Sprintf(`{"status":201,"replayed":%t,"body":%s}`, replayed, strings.TrimSpace(string(out))))
	}
	return strings.Join(results, ",")
}

// book executes a transfer, or finds the answer that its key has.
func (f *fake) book(key string, body []byte) (out []byte, replayed bool) {
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	lying := len(f.answers)%10 == 9
	if out, ok := f.answers[key]; ok && f.lie != runsAnew {
		if f.lie == otherBytes {
			out = append([]byte(" "), out...)
		}
		return out, f.lie != unmarked
	}
	stored := receipt{ID: fmt.Sprintf("tr_%d", len(f.transfers)+1), Status: "posted", From: o.From, To: o.To, Amount: o.Amount, Currency: o.Currency}
	told := stored
	times := int64(1)
	if lying {
		switch f.lie {
		case lost:
			times = 0
		case doubled:
			times = 2
		case otherAmount:
			stored.Amount++
		case otherAnswer:
			told.Amount++
		}
	}
	f.accounts[o.From] -= times * o.Amount
	f.accounts[o.To] += times * o.Amount
	if times > 0 {
		f.transfers[stored.ID] = stored
	}
	out, _ = json.Marshal(told)
	f.answers[key] = append(out, '\n')
	return f.answers[key], false
}

func (f *fake) read(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.transfers[r.PathValue("id")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(t)
}
