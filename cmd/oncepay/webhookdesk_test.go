package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWebhooksFromTheCommandLine makes an endpoint, has an event fail there, looks at it and has it
// delivered again, as the guide says.
func TestWebhooksFromTheCommandLine(t *testing.T) {
	serving, end := context.WithCancel(context.Background())
	defer end()
	_, at := serveInside(t, serving, io.Discard)
	var broken atomic.Bool
	broken.Store(true)
	var taken atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusGone)
			io.WriteString(w, "moved away")
			return
		}
		taken.Add(1)
	}))
	defer hook.Close()
	say := func(args ...string) outcome {
		t.Helper()
		o := oncepay(nil, append(append([]string{"webhooks"}, args...), "--dev", "--at", at)...)
		if o.status != 0 {
			t.Fatalf("%v: exit %d\n%s%s", args, o.status, o.stdout, o.stderr)
		}
		return o
	}
	var endpoint struct{ ID, Status string }
	read := func(o outcome, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(o.stdout), into); err != nil {
			t.Fatalf("%v: %s", err, o.stdout)
		}
	}
	made := say("create", "--url", hook.URL, "--event", "account.*", "--description", "mine")
	read(made, &endpoint)
	key := strings.TrimSpace(strings.TrimPrefix(made.stderr, "Idempotency-Key: "))
	if again := say("create", "--url", hook.URL, "--event", "account.*", "--description", "mine", "--key", key); again.stdout != made.stdout {
		t.Errorf("said again it is %s, and was %s", again.stdout, made.stdout)
	}
	openAccount(t, at, "alice")
	soon(t, "the endpoint is disabled", func() bool { return strings.Contains(say("list").stdout, "disabled  gone") })
	dead := say("deliveries", endpoint.ID, "--status", "dead")
	if !strings.Contains(dead.stdout, "account.opened") || !strings.Contains(dead.stdout, "NEXT ATTEMPT AT") {
		t.Errorf("the dead are\n%s", dead.stdout)
	}
	event := dead.stdout[strings.Index(dead.stdout, "evt_"):][:30]
	if one := say("delivery", endpoint.ID, event); !strings.Contains(one.stdout, `"answer": "moved away"`) || !strings.Contains(one.stdout, `"status": 410`) {
		t.Errorf("the delivery is\n%s", one.stdout)
	}
	broken.Store(false)
	say("redeliver", endpoint.ID, event)
	say("enable", endpoint.ID)
	soon(t, "it is taken", func() bool {
		return strings.Contains(say("deliveries", endpoint.ID, "--status", "delivered").stdout, event)
	})
	say("redeliver", endpoint.ID)
	var before, after struct {
		Secret string
		Former struct{ Secret string }
	}
	read(say("secret", endpoint.ID), &before)
	read(say("rotate", endpoint.ID, "--overlap", "1h"), &after)
	if before.Secret == "" || after.Former.Secret != before.Secret || after.Secret == before.Secret {
		t.Errorf("the secret was %+v and is %+v", before, after)
	}
	say("disable", endpoint.ID)
	say("delete", endpoint.ID)
	if o := oncepay(nil, "webhooks", "secret", endpoint.ID, "--dev", "--at", at); o.status != exitBad || !strings.Contains(o.stderr, "no such webhook endpoint") {
		t.Errorf("what was deleted: %d %s", o.status, o.stderr)
	}
	if taken.Load() == 0 {
		t.Error("nothing was taken")
	}
}
