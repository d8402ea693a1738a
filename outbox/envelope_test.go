package outbox_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/oncepay/oncepay/outbox"
)

// An envelope is a CloudEvent, in structured JSON.
func TestTheEnvelope(t *testing.T) {
	e := outbox.Event{
		ID: "evt_1", Tenant: "acme", Type: "transfer.posted", Subject: "tr_\"1", At: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC),
		Data: []byte(`{"id":"tr_1","amount":9007199254740993}`),
	}
	want := `{"specversion":"1.0","id":"evt_1","source":"/oncepay/tenants/acme","type":"transfer.posted","subject":"tr_\"1",` +
		`"time":"2026-03-01T12:00:00.123456Z","datacontenttype":"application/json","dataschema":"urn:oncepay:schema:transfer:1",` +
		`"data":{"id":"tr_1","amount":9007199254740993}}`
	got := outbox.AppendEnvelope(nil, outbox.DefaultSource, e)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(got) {
		t.Error("it is not JSON")
	}
}

func TestSources(t *testing.T) {
	for base, want := range map[string]string{
		"/oncepay":                 "/oncepay/tenants/a",
		"https://pay.example.com/": "https://pay.example.com/tenants/a",
	} {
		if got := outbox.Source(base, "a"); got != want {
			t.Errorf("%s: got %s", base, got)
		}
	}
}

// A type that a later version wrote has a schema without a version, and none of another's.
func TestATypeThatIsNotKnown(t *testing.T) {
	if got := outbox.SchemaOf("dispute.opened"); got != "urn:oncepay:schema:dispute" {
		t.Errorf("got %s", got)
	}
}
