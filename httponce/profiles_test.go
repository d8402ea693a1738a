package httponce_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/httponce"
)

// What answers mean for their keys, by profile.
func TestProfiles(t *testing.T) {
	final, free, unknown := "given again", "free", "unknown"
	rows := map[string]map[string][]int{
		"ietf-07": {
			final:   {200, 201, 202, 204, 206, 301, 302, 303, 402, 409, 410, 418, 422, 423, 424, 451, 499},
			free:    {307, 308, 400, 401, 403, 404, 405, 406, 407, 408, 411, 412, 413, 414, 415, 416, 417, 421, 425, 426, 428, 429, 431, 503},
			unknown: {500, 501, 502, 504, 507, 599},
		},
		"stripe-v1": {
			final:   {200, 201, 204, 402, 404, 422, 424, 500, 502, 503, 504},
			free:    {400, 401, 403, 409, 429},
			unknown: {600},
		},
		"iceberg": {
			final:   {200, 201, 204, 400, 404, 406, 409, 422},
			free:    {401, 403, 408, 419, 429, 503},
			unknown: {303, 500, 501, 502, 504},
		},
		"aip-155": {
			final:   {200, 201, 204},
			free:    {307, 400, 401, 403, 404, 409, 429, 499, 501, 503},
			unknown: {500, 502, 504},
		},
	}
	profiles := httponce.Profiles()
	if len(profiles) != len(rows) {
		t.Errorf("there are %d profiles", len(profiles))
	}
	for name, row := range rows {
		for want, statuses := range row {
			for _, status := range statuses {
				s := newShop(t, profiles[name], func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
				const key = "0190163d-8694-739b-aea5-966c26f8ad91"
				ask := func() answer {
					return s.post(strings.Replace(key, "0190163d", recently(), 1), "/", `{"request_id":"k"}`)
				}
				first, got := ask(), "unknown"
				switch again := ask(); {
				case s.runs.Load() == 2:
					got = free
				case again.status == status && again.header.Get(profiles[name].Replayed) == "true" || again.status == status && again.replayed():
					got = final
				case again.code() != httponce.OutcomeUnknown:
					t.Errorf("%s: a repeat of %d gets %+v", name, status, again)
				}
				if first.status != status || got != want {
					t.Errorf("%s: after %d the key is %s, want %s", name, status, got, want)
				}
			}
		}
	}
}

// recently is the first eight digits of a UUIDv7 that is not out of its time.
func recently() string { return fmt.Sprintf("%012x", time.Now().UnixMilli())[:8] }

// What is said of keys differs by profile, too.
func TestProfilesDiffer(t *testing.T) {
	stripe := newShop(t, httponce.StripeV1, created)
	stripe.post("k", "/", "1")
	if a := stripe.post("k", "/", "1"); a.header.Get("Idempotent-Replayed") != "true" || a.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("stripe-v1: a repeat gets %+v", a)
	}
	if a := stripe.post("k", "/", "2"); a.status != 400 || a.code() != httponce.KeyReused || a.problem().Status != 400 {
		t.Errorf("stripe-v1: another request gets %+v", a)
	}
	if a := stripe.send(request("POST", "/", "")); a.status != 201 || a.replayed() {
		t.Errorf("stripe-v1: without a key it gets %+v", a)
	}

	iceberg := newShop(t, httponce.Iceberg, created)
	key := recently() + "-8694-739B-AEA5-966C26F8AD91"
	iceberg.post(key, "/", "")
	if a := iceberg.post(strings.ToLower(key), "/", ""); !a.replayed() {
		t.Errorf("iceberg: the same UUID gets %+v", a)
	}
	for _, wrong := range []string{"k", "0190163d-8694-439b-aea5-966c26f8ad91", ""} {
		if a := iceberg.send(request("POST", "/", "", "Idempotency-Key", wrong)); (a.status == 201) != (wrong == "") || wrong != "" && a.code() != httponce.KeyMalformed {
			t.Errorf("iceberg: the key %q gets %+v", wrong, a)
		}
	}

	aip := newShop(t, httponce.AIP155, created)
	for i := range 2 {
		if a := aip.send(request("POST", "/", `{"request_id":"k"}`)); a.replayed() != (i == 1) {
			t.Errorf("aip-155: request %d gets %+v", i+1, a)
		}
	}
}
