package sandbox_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/gateway/sandbox"
	"github.com/oncepay/oncepay/pay"
)

// The connector keeps what every gateway promises, whatever happens between it
// and the sandbox.
func TestConnectorKeepsTheContract(t *testing.T) {
	contract.TestGateway(t, contract.GatewayFixture{
		Far: func(t testing.TB, timeout time.Duration) http.Handler {
			s, err := sandbox.Open(sandbox.Config{Books: filepath.Join(t.TempDir(), "sandbox.db"), Timeout: timeout, InFlight: timeout})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		Connect: func(t testing.TB, url string, _ time.Duration) pay.Gateway { // the sandbox says how long to wait
			return connect(t, sandbox.ConnectorConfig{URL: url})
		},
		Reads: func(r *http.Request) (string, bool) {
			id, checks := strings.CutPrefix(r.URL.Path, "/v1/operations/")
			if checks {
				return id, false
			}
			return r.Header.Get("Idempotency-Key"), true
		},
		Fine:     func(op string) pay.Call { return call(op, "pm_ok") },
		Declined: func(op string) pay.Call { return call(op, "pm_declined") },
		Refused:  func(op string) pay.Call { return call(op, "pm_there_is_none") },
	})
}
