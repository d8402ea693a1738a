//go:build integration

package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/oncepay/oncepay/store/postgres"
)

func TestOnlyItsOwnSchemaIsOpened(t *testing.T) {
	places := apart(t)
	for _, row := range []struct {
		name string
		sql  string // what was done to it
		want error
		says string
	}{
		{"a later version's", "UPDATE meta SET value = 99 WHERE name = 'schema_version'", postgres.ErrNewer, "version 99, this program knows up to 3"},
		{"an earlier version's", "UPDATE meta SET value = 0 WHERE name = 'schema_version'", postgres.ErrForeign, "oncepay migrate"},
		{"somebody else's", "COMMENT ON TABLE meta IS NULL", postgres.ErrForeign, "something else"},
	} {
		url := places.migrated(t)
		run(t, url, row.sql)
		for what, open := range map[string]func() error{
			"opened": func() error { _, err := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet}); return err },
			"read":   func() error { _, err := postgres.OpenReader(t.Context(), url); return err },
			"viewed": func() error { _, err := postgres.OpenView(t.Context(), url); return err },
		} {
			if err := open(); !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s is %s: %v", row.name, what, err)
			}
		}
		if err := postgres.Migrate(t.Context(), url); row.want == postgres.ErrNewer && !errors.Is(err, postgres.ErrNewer) {
			t.Errorf("%s is migrated: %v", row.name, err)
		}
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: places.url(t), Log: quiet}); !errors.Is(err, postgres.ErrForeign) {
		t.Errorf("an empty schema is opened: %v", err)
	}
}

// Of several that migrate one does the work, and a second time there is none.
func TestMigratingAtOnce(t *testing.T) {
	url := apart(t).url(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	migrateAt(t, url)
	openAccounts(t, openAt(t, url).Store, 1)
}

// No error shows a password, or what it was about.
func TestErrorsShowNoSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"postgres://u:" + secret + "@127.0.0.1:1/db?sslmode=disable", "postgres://u:" + secret + "@%zz/db", "postgres://u:" + secret + "@h/db?pool_max_conns=x",
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}

// A server that takes no writes is told from one that is away.
func TestAServerThatTakesNoWrites(t *testing.T) {
	places := apart(t)
	url := places.migrated(t)
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	_, err := postgres.Open(t.Context(), postgres.Config{URL: url + separator + "default_transaction_read_only=on", Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("it is opened: %v", err)
	}
}
