package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

// doubtfulShop is a service with keys of which nobody knows what became of them, and its
// operators' face, which takes a token.
func doubtfulShop(t *testing.T, keys ...string) (at string, eng *once.Engine) {
	t.Helper()
	eng, err := once.New(once.NewMemory(), once.Config{Scope: once.SingleTenant})
	if err != nil {
		t.Fatal(err)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	for _, k := range keys {
		charge.Do(t.Context(), k, nil, func(context.Context, *once.Attempt) (string, error) { return "", errors.New("it hung up\x1b[2J") })
	}
	mux := http.NewServeMux()
	mux.Handle("/internal/keys/", http.StripPrefix("/internal/keys", httponce.Operator{Engine: eng, Actor: func(r *http.Request) (string, error) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			return "", errors.New("nobody")
		}
		return "ann", nil
	}}))
	mux.Handle("/moved/", http.RedirectHandler("/internal/keys/", http.StatusTemporaryRedirect))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, eng
}

func tokenFile(t *testing.T, token string) string {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--token-file=" + path
}

// Keys in doubt are listed, settled and shown.
func TestKeysAreSettledFromTheCommandLine(t *testing.T) {
	url, eng := doubtfulShop(t, "order-1", "order-2", "order-3")
	at, token := "--at="+url+"/internal/keys", tokenFile(t, "s3cret")
	got := oncepay(nil, "keys", "list", at, token)
	if lines := strings.Split(strings.TrimSpace(got.stdout), "\n"); got.status != exitGood || len(lines) != 4 || !strings.Contains(got.stdout, "it hung up") || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("list: %+v", got)
	}
	if got := oncepay(nil, "keys", "list", at, token, "--limit=2", "--json"); strings.Count(got.stdout, `"key"`) != 2 {
		t.Errorf("list two: %+v", got)
	}
	got = oncepay(nil, "keys", "settle", "order-1", at, token, "--as=happened", "--evidence=line 311", `--body="ch_7"`)
	if got.status != exitGood || !strings.Contains(got.stdout, "settled as happened by ann: line 311") {
		t.Errorf("settle: %+v", got)
	}
	if got := oncepay(nil, "keys", "settle", "order-2", at, token, "--as=absent", "--evidence=not in the report"); got.status != exitGood || !strings.Contains(got.stdout, "released") {
		t.Errorf("settle: %+v", got)
	}
	if got := oncepay(nil, "keys", "show", "order-1", at, token, "--json"); got.status != exitGood || !strings.Contains(got.stdout, `"state": "done"`) {
		t.Errorf("show: %+v", got)
	}
	charge := once.Operation[string]{Engine: eng, Name: "charge"}
	for key, want := range map[string]string{"order-1": "ch_7", "order-2": "ran"} {
		told, err := charge.Do(t.Context(), key, nil, func(context.Context, *once.Attempt) (string, error) { return "ran", nil })
		if err != nil || told != want {
			t.Errorf("a repeat of %s is told %q %v", key, told, err)
		}
	}
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"keys", "show", "order-3", at, "--token-file=-"}, nil, strings.NewReader("s3cret\n"), &stdout, &stderr)
	if status != exitGood || !strings.Contains(stdout.String(), "unknown") {
		t.Errorf("with the token from stdin: %d %s", status, stderr.String())
	}
}

// What is wrong is said before anything is sent, or as the service says it.
func TestKeysFromTheCommandLineAreRefused(t *testing.T) {
	url, _ := doubtfulShop(t, "order-1")
	at, token := "--at="+url+"/internal/keys", tokenFile(t, "s3cret")
	absent := []string{"keys", "settle", "order-1", at, token, "--as=absent", "--evidence=e"}
	for what, row := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"nowhere":                   {[]string{"keys", "list"}, exitUsage, "--at"},
		"no URL":                    {[]string{"keys", "list", "--at=shop"}, exitUsage, "http"},
		"no key":                    {[]string{"keys", "show", at}, exitUsage, "one key"},
		"no limit":                  {[]string{"keys", "list", at, "--limit=0"}, exitUsage, "--limit"},
		"no verdict":                {[]string{"keys", "settle", "order-1", at, "--evidence=e"}, exitUsage, "--as"},
		"no evidence":               {[]string{"keys", "settle", "order-1", at, "--as=absent"}, exitUsage, "--evidence"},
		"a card for evidence":       {[]string{"keys", "settle", "order-1", at, "--as=absent", "--evidence=4242 4242 4242 4242"}, exitUsage, "***"},
		"an answer of what was not": {append(absent, "--status=201"), exitUsage, "--status"},
		"a header without a colon":  {[]string{"keys", "settle", "order-1", at, "--as=happened", "--evidence=e", "--header=x"}, exitUsage, "colon"},
		"no token":                  {[]string{"keys", "list", at}, exitBad, "operators"},
		"a token of two lines":      {[]string{"keys", "list", at, tokenFile(t, "a\nb")}, exitBad, "one line"},
		"a key nobody knows":        {[]string{"keys", "show", "x", at, token}, exitBad, "nothing here"},
		"what is not in doubt":      {[]string{"keys", "settle", "x", at, token, "--as=absent", "--evidence=e"}, exitBad, "nothing to decide"},
		"something else there":      {[]string{"keys", "list", "--at=" + url, token}, exitBad, "no httponce.Operator"},
		"a redirect":                {[]string{"keys", "list", "--at=" + url + "/moved", token}, exitBad, "307"},
		"nobody there":              {[]string{"keys", "list", "--at=http://127.0.0.1:1", token}, exitBad, "refused"},
	} {
		if got := oncepay(nil, row.args...); got.status != row.status || !strings.Contains(got.stderr, row.says) || got.stdout != "" {
			t.Errorf("%s: %+v, want %d %q", what, got, row.status, row.says)
		}
	}
	if got := oncepay(nil, absent...); got.status != exitGood {
		t.Errorf("and then, it is settled: %+v", got)
	}
}
