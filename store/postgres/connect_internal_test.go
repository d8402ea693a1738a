package postgres

import (
	"strings"
	"testing"
)

func TestServersThatCannotHoldAStore(t *testing.T) {
	for says, s := range map[string]server{
		"": {version: 150000, encoding: "UTF8"},
		"the server is PostgreSQL 14: it must be": {version: 140022, encoding: "UTF8"},
		"the server is a standby":                 {version: 180006, encoding: "UTF8", recovering: true},
		"has the encoding LATIN1":                 {version: 150018, encoding: "LATIN1"},
	} {
		if err := s.check(); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", s, err, says)
		}
	}
}
