// Shop is a net/http service whose orders are charged once, however often they are sent.
//
//	go run ./examples/shop
//	curl -i -u alice:tea -H 'Idempotency-Key: cart-7' -d '{"item":"tea","cents":450}' http://127.0.0.1:9000/orders
//
// Send the second line as often as you like, kill the shop in between with kill -9, and
// look at what the bank has been told: GET /charges. Two customers may use the same key.
// An order that the shop was killed in the middle of is asked about at the bank when it
// comes again, by the key that its first attempt charged with.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	_ "modernc.org/sqlite"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/sqlkeys"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9000", "where customers come")
	operators := flag.String("operators", "127.0.0.1:9001", "where operators look at keys")
	dir := flag.String("dir", "shop-data", "where everything is kept")
	lease := flag.Duration("lease", 30*time.Second, "how long an order may be unheard of before it is asked about")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *operators, *dir, *lease); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, operators, dir string, lease time.Duration) error {
	secret, db, err := open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	bank, keys := &bank{db}, sqlkeys.New(db)
	if err := errors.Join(keys.Migrate(ctx), bank.migrate(ctx)); err != nil {
		return err
	}
	eng, err := once.New(keys, once.Config{Scope: customer, Secret: secret, Lease: lease})
	if err != nil {
		return err
	}
	go eng.Keep(ctx) // what is over is forgotten

	s := &shop{bank}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /charges", bank.list)
	h := httponce.Handler{Engine: eng, Route: func(*http.Request) httponce.Route {
		return httponce.Route{Vanished: once.Probe, Probe: s.ask}
	}}
	internal := http.NewServeMux()
	internal.Handle("/keys/", http.StripPrefix("/keys", httponce.Operator{Engine: eng, Actor: func(*http.Request) (string, error) {
		return "whoever is on this machine", nil // a real one would ask who that is
	}}))
	return serve(ctx, face{addr, "customers", signIn(h.Wrap(mux))}, face{operators, "operators", internal})
}

// open opens the shop's files. Whoever has the secret can make fingerprints and keys: it
// stays the same over restarts, and nobody else can read it.
func open(dir string) (secret []byte, db *sql.DB, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "secret")
	if secret, err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
		secret = []byte(rand.Text() + rand.Text())
		err = os.WriteFile(path, secret, 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	db, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "shop.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	return secret, db, err
}

// name is what the context of a customer's request knows them by.
type name struct{}

// signIn lets customers in, each with a password that everybody knows.
func signIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user == "" || password != "tea" {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "the password is tea", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), name{}, user)))
	})
}

// customer is whose key it is: the one who is signed in, and no header says otherwise.
func customer(ctx context.Context) (string, error) {
	if user, ok := ctx.Value(name{}).(string); ok {
		return user, nil
	}
	return "", errors.New("nobody is signed in")
}

type shop struct{ bank *bank }

// order charges for an order. It runs once for its key.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Item  string
		Cents int64
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Item == "" || asked.Cents <= 0 {
		httponce.NothingHappened(r.Context()) // the key is free for the order as it should be
		http.Error(w, `send {"item": "tea", "cents": 450}`, http.StatusUnprocessableEntity)
		return
	}
	// The bank's key is the same in every attempt.
	id, err := s.bank.charge(r.Context(), httponce.Attempt(r.Context()).Derive("charge"), asked.Cents)
	if err != nil {
		http.Error(w, "the bank did not answer", http.StatusBadGateway) // nobody knows: a repeat asks
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/charges")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"item":%q,"charge":%q}`+"\n", asked.Item, id)
}

// ask finds out at the bank what became of an order whose attempt is gone.
func (s *shop) ask(r *http.Request, a *once.Attempt) (once.Answer, once.Found, error) {
	id, err := s.bank.find(r.Context(), a.Derive("charge"))
	switch {
	case err != nil:
		return once.Answer{}, once.NotKnown, err
	case id == "":
		return once.Answer{}, once.NotThere, nil // this bank knows at once, and does nothing later
	}
	return once.Answer{
		Status: http.StatusCreated, Body: fmt.Appendf(nil, `{"charge":%q}`+"\n", id),
		Header: []once.Field{{Name: "Content-Type", Value: "application/json"}, {Name: "Location", Value: "/charges"}},
	}, once.Happened, nil
}

// face is what the shop shows to somebody, and where.
type face struct {
	addr, to string
	http.Handler
}

// serve answers until ctx ends, and lets what is in flight finish.
func serve(ctx context.Context, faces ...face) error {
	failed := make(chan error, len(faces))
	var servers []*http.Server
	for _, f := range faces {
		l, err := net.Listen("tcp", f.addr)
		if err != nil {
			return err
		}
		s := &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second}
		servers = append(servers, s)
		go func() { failed <- s.Serve(l) }()
		log.Printf("%s come to http://%s", f.to, l.Addr())
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(drain))
	}
	return err
}
