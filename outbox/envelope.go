package outbox

import (
	"net/url"
	"strings"

	"github.com/oncepay/oncepay/internal/jcs"
)

// ContentType is the media type of an envelope: CloudEvents 1.0, structured JSON.
const ContentType = "application/cloudevents+json"

// DefaultSource is the first part of the source of envelopes, where nothing else is configured.
const DefaultSource = "/oncepay"

// Source is where an event comes from: the service and the tenant, whose own the ids of
// subjects may be. base is a URI reference without a query.
func Source(base, tenant string) string {
	return strings.TrimSuffix(base, "/") + "/tenants/" + url.PathEscape(tenant)
}

// AppendEnvelope appends the event as a CloudEvents 1.0 envelope. The same event and base are
// always the same bytes.
func AppendEnvelope(b []byte, base string, e Event) []byte {
	b = jcs.AppendString(append(b, `{"specversion":"1.0","id":`...), e.ID)
	b = jcs.AppendString(append(b, `,"source":`...), Source(base, e.Tenant))
	b = jcs.AppendString(append(b, `,"type":`...), e.Type)
	b = jcs.AppendString(append(b, `,"subject":`...), e.Subject)
	b = jcs.AppendTime(append(b, `,"time":`...), e.At)
	b = append(b, `,"datacontenttype":"application/json"`...)
	b = jcs.AppendString(append(b, `,"dataschema":`...), SchemaOf(e.Type))
	return append(append(append(b, `,"data":`...), e.Data...), '}')
}
