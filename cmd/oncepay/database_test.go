//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/pgtest"
)

// databasePassword is in the URLs of these tests, and may be nowhere else.
const databasePassword = "secret-7"

// withPassword is a URL with a user and the password.
func withPassword(url, user string) string {
	return strings.Replace(url, "postgres@", user+":"+databasePassword+"@", 1)
}

// A PostgreSQL that crashes under load takes no server with it: they say that they are not
// ready, begin nothing meanwhile, and go on by themselves when it is back. What was
// acknowledged is there, and nothing else.
func TestServersOutliveTheirDatabase(t *testing.T) {
	pg := startDatabase(t)
	f := newFleet(t, withPassword(pg.URL("postgres"), "postgres"), false)
	stop := f.load(t)
	for round := range 2 {
		before := f.answered()
		waitUntil(t, "the servers answer", func() bool { return f.answered() > before+50 })
		pg.Crash()
		for i, s := range f.all() {
			key := fmt.Sprintf("away-%d-%d", round, i)
			op := &crashOp{key: key, path: "/v1/transfers", creates: true,
				body: fmt.Sprintf(`{"from":"a0","to":"a1","amount":1,"currency":"EUR","reference":%q}`, key)}
			status, header, body, err := s.post(op)
			if err != nil || status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(string(body), "store_unavailable") {
				t.Errorf("without its database a server says %d %s %v", status, body, err)
			}
			f.remember(op)
			if ready, live := s.status("/readyz"), s.status("/livez"); ready != http.StatusServiceUnavailable || live != http.StatusOK {
				t.Errorf("without its database a server is ready %d, live %d", ready, live)
			}
		}
		pg.Restart(t)
		for _, s := range f.all() {
			waitUntil(t, "a server is ready again", func() bool { return s.status("/readyz") == http.StatusOK })
		}
	}
	if stop(); t.Failed() {
		return
	}
	f.finish(t)
	t.Logf("%d orders, %d transfers; %d requests whose server was gone", len(f.orders), len(f.moves), f.doubts.Load())
}

// answered counts the transfers that have an answer.
func (f *fleet) answered() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range f.moves {
		if op.status != 0 {
			n++
		}
	}
	return n
}

func (f *fleet) remember(op *crashOp) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves = append(f.moves, op)
}

// status is that of a page.
func (s *crashServer) status(path string) int {
	resp, err := s.http.Get(s.url + path)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// waitUntil waits for a condition.
func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in half a minute", what)
		}
	}
}

const (
	somePayment = "pay_01m8qygpq9f4das2hpdq77x1ys"
	someKey     = "ak_01m8qygpq9f4das2hpdq77x1ys"
)

// databaseCommands are all commands that work on a store, with arguments that are good.
var databaseCommands = []string{
	"serve --addr=127.0.0.1:0", "migrate", "verify", "apikey create --tenant=shop", "apikey list", "apikey revoke " + someKey,
	"payments list", "payments show " + somePayment, "payments check " + somePayment,
	"payments resolve " + somePayment + " --as=absent --evidence=report",
	"recovery status", "recovery begin --cause=restored", "recovery end --evidence=report",
}

// Every command says in plain words why it cannot work on a database, and none shows the
// password.
func TestCommandsSayWhatIsWrongWithADatabase(t *testing.T) {
	pg := startDatabase(t)
	for _, name := range []string{"empty", "newer", "strange", "mute"} {
		pg.SQL(t, "postgres", "CREATE DATABASE "+name)
	}
	pg.SQL(t, "postgres", "CREATE ROLE teller LOGIN PASSWORD 'another'; CREATE ROLE reader LOGIN")
	pg.SQL(t, "strange", "CREATE TABLE meta (name text)")
	pg.SQL(t, "mute", "GRANT CREATE ON SCHEMA public TO reader; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	if o := runProgram(t, nil, "migrate", "--store="+pg.URL("newer")); o.status != exitGood {
		t.Fatalf("migrate: %+v", o)
	}
	pg.SQL(t, "newer", "UPDATE meta SET value = 99 WHERE name = 'schema_version'")
	demandPasswords(t, pg, "teller")
	makes := []string{"serve", "migrate", "apikey create"} // a store where there is none
	others := []string{"verify", "apikey list", "apikey revoke", "payments", "recovery"}
	for name, row := range map[string]struct {
		url, says string
		status    int
		not       []string // commands that this does not concern
	}{
		"a wrong password":         {withPassword(pg.URL("empty"), "teller"), "password authentication failed", exitBad, nil},
		"nobody is there":          {"postgres://postgres:secret-7@127.0.0.1:1/x?sslmode=disable", "127.0.0.1:1 cannot be reached", exitBad, nil},
		"no such database":         {withPassword(pg.URL("nowhere"), "postgres"), `database "nowhere" does not exist`, exitBad, nil},
		"no such schema":           {withPassword(pg.URL("empty"), "postgres") + "&search_path=nowhere", "none of the schemas of the search_path is there", exitBad, nil},
		"no store":                 {withPassword(pg.URL("empty"), "postgres"), "run `oncepay migrate` to make one", exitBad, makes},
		"somebody else's table":    {withPassword(pg.URL("strange"), "postgres"), "its table meta is something else", exitBad, nil},
		"a store from the future":  {withPassword(pg.URL("newer"), "postgres"), "it has schema version 99, this program knows up to 3; run a later program", exitBad, nil},
		"who may not make a store": {withPassword(pg.URL("empty"), "reader"), "may not be used", exitBad, others},
		"a history that is kept":   {withPassword(pg.URL("mute"), "reader"), "GRANT EXECUTE ON FUNCTION pg_control_system() TO it", exitBad, others},
		"an option that is none":   {withPassword(pg.URL("empty"), "postgres") + "&pool_max_conns=many", "the URL of the store is not one of PostgreSQL", exitBad, nil},
		"a port that is none":      {"postgres://postgres:secret-7@127.0.0.1:port/x", "postgres://postgres:…@127.0.0.1:port/x", exitUsage, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for _, command := range databaseCommands {
				if startsWith(command, row.not) {
					continue
				}
				all.Go(func() {
					o := runProgram(t, []string{"ONCEPAY_STORE=" + row.url}, strings.Fields(command)...)
					if o.status != row.status || !strings.Contains(o.stderr, row.says) || o.stdout != "" {
						t.Errorf("%s: %+v, want %d and %q", command, o, row.status, row.says)
					}
					if strings.Contains(o.stdout+o.stderr, databasePassword) {
						t.Errorf("%s shows the password: %+v", command, o)
					}
				})
			}
			all.Wait()
		})
	}
}

func startsWith(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// demandPasswords has a server ask a user for its password.
func demandPasswords(t *testing.T, pg *pgtest.Server, user string) {
	t.Helper()
	rules := fmt.Sprintf("host all %s 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n", user)
	if err := os.WriteFile(filepath.Join(pg.Dir, "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	pg.SQL(t, "postgres", "SELECT pg_reload_conf()")
}

// All commands work on a PostgreSQL, wherever its URL comes from, as a user who owns one schema
// and nothing else, beside a server whose key they make and take away.
func TestCommandsWorkOnADatabase(t *testing.T) {
	pg := startDatabase(t)
	pg.SQL(t, "postgres", "CREATE ROLE teller LOGIN PASSWORD '"+databasePassword+"'; CREATE SCHEMA shop AUTHORIZATION teller; REVOKE ALL ON SCHEMA public FROM PUBLIC;"+
		"CREATE ROLE auditor LOGIN; GRANT USAGE ON SCHEMA shop TO auditor; ALTER DEFAULT PRIVILEGES FOR ROLE teller IN SCHEMA shop GRANT SELECT ON TABLES TO auditor")
	demandPasswords(t, pg, "teller")
	url := withPassword(pg.URL("postgres"), "teller") + "&search_path=shop"
	file := filepath.Join(t.TempDir(), "oncepay.yaml")
	if err := os.WriteFile(file, []byte("store: "+url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args string) outcome {
		t.Helper()
		o := runProgram(t, []string{"ONCEPAY_CONFIG=" + file}, strings.Fields(args)...)
		if strings.Contains(o.stdout+o.stderr, databasePassword) {
			t.Errorf("%s shows the password: %+v", args, o)
		}
		return o
	}
	good := func(args, says string) string {
		t.Helper()
		o := run(args)
		if o.status != exitGood || !strings.Contains(o.stdout, says) {
			t.Errorf("%s: %+v, want %q", args, o, says)
		}
		return strings.TrimSpace(o.stdout)
	}
	hidden := strings.Replace(url, databasePassword, "…", 1)
	good("config", hidden)
	good("migrate", hidden+" is up to date")
	good("migrate --json", `"up_to_date": true`)
	key := good("apikey create --tenant=shop", "sk_")

	s := launch(t, mustSelf(t), "", "--store="+url)
	s.ready(t)
	withKey := func() int {
		req, err := http.NewRequest(http.MethodGet, s.url+"/v1/accounts", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := withKey(); got != http.StatusOK {
		t.Errorf("the key is answered %d", got)
	}
	var made struct{ ID string }
	if status, _, body, err := s.post(&crashOp{key: "k", path: "/v1/payments", body: `{"amount":100,"currency":"EUR","payment_method":"pm_ok","confirm":true}`}); err != nil ||
		status != http.StatusCreated || json.Unmarshal(body, &made) != nil {
		t.Fatalf("the payment: %d %s %v", status, body, err)
	}
	good("payments list", made.ID)
	good("payments show "+made.ID, "succeeded")
	good("payments check "+made.ID, "succeeded")
	for args, says := range map[string]string{
		"payments show " + somePayment:                                   "there is no payment or refund " + somePayment,
		"payments check " + somePayment:                                  "there is no payment or refund " + somePayment,
		"payments resolve " + made.ID + " --as=absent --evidence=report": "in doubt",
		"apikey revoke " + someKey:                                       "there is no API key " + someKey,
	} {
		if o := run(args); o.status != exitBad || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: %+v, want %q", args, o, says)
		}
	}
	good("verify", "everything is in order")
	for _, command := range []string{"verify", "payments list", "payments show " + made.ID} {
		if o := runProgram(t, []string{"ONCEPAY_STORE=" + strings.Replace(url, "teller", "auditor", 1)}, strings.Fields(command)...); o.status != exitGood {
			t.Errorf("%s as somebody who may only read: %+v", command, o)
		}
	}
	id := strings.Fields(good("apikey list", "shop"))[5]
	good("apikey revoke "+id, "")
	waitUntil(t, "the key is refused", func() bool { return withKey() == http.StatusUnauthorized })
	s.stop(t)
	if strings.Contains(s.stderr.String(), databasePassword) {
		t.Errorf("the log shows the password:\n%s", &s.stderr)
	}
}
