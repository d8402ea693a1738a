package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Keys are made before the first start, listed and revoked; nothing but create
// makes a store.
func TestAPIKeysFromTheCommandLine(t *testing.T) {
	store := "--store=sqlite:" + filepath.Join(t.TempDir(), "x.db")
	if got := oncepay(nil, "apikey", "list", store); got.status != exitBad || !strings.Contains(got.stderr, "there is no store") {
		t.Errorf("list without a store: %+v", got)
	}
	made := oncepay(nil, "apikey", "create", "--tenant=shop", "--role=read", store)
	if made.status != exitGood || !strings.HasPrefix(made.stdout, "sk_") {
		t.Fatalf("create: %+v", made)
	}
	listed := oncepay(nil, "apikey", "list", store)
	fields := strings.Fields(strings.Split(listed.stdout, "\n")[1])
	if fields[1] != "shop" || fields[2] != "read" || strings.Contains(listed.stdout, strings.TrimSpace(made.stdout)) {
		t.Errorf("list: %s", listed.stdout)
	}
	for _, time := range []string{"first", "second"} {
		if got := oncepay(nil, "apikey", "revoke", fields[0], store); got.status != exitGood {
			t.Errorf("revoke for the %s time: %+v", time, got)
		}
	}
	got := oncepay(nil, "apikey", "revoke", "ak_00000000000000000000000000", store)
	if got.status != exitBad || !strings.Contains(got.stderr, "apikey list") {
		t.Errorf("revoke of what is not there: %+v", got)
	}
	if got := oncepay(nil, "apikey", "create", store); got.status != exitUsage || !strings.Contains(got.stderr, "--tenant is required") {
		t.Errorf("create without a tenant: %+v", got)
	}
}

// A store that is in order is said to be, and one that is not there is not made.
func TestVerifyFromTheCommandLine(t *testing.T) {
	store := "--store=sqlite:" + filepath.Join(t.TempDir(), "x.db")
	if got := oncepay(nil, "verify", store); got.status != exitBad {
		t.Errorf("verify of nothing: %+v", got)
	}
	if got := oncepay(nil, "migrate", store, "--json"); got.status != exitGood || !strings.Contains(got.stdout, `"up_to_date": true`) {
		t.Fatalf("migrate: %+v", got)
	}
	if got := oncepay(nil, "verify", store); got.status != exitGood || !strings.Contains(got.stdout, "everything is in order") {
		t.Errorf("verify: %+v", got)
	}
}

// The same seeds give the same hash, others another.
func TestSimulateFromTheCommandLine(t *testing.T) {
	hash := func(args ...string) string {
		got := oncepay(nil, append([]string{"simulate", "--seeds=3"}, args...)...)
		if got.status != exitGood {
			t.Fatalf("simulate: %+v", got)
		}
		_, hash, _ := strings.Cut(got.stdout, "trace hash ")
		return hash
	}
	if first, again, other := hash(), hash(), hash("--first-seed=2"); first != again || first == other || first == "" {
		t.Errorf("hashes %q, %q and of other seeds %q", first, again, other)
	}
	var told any
	if err := json.Unmarshal([]byte(oncepay(nil, "simulate", "--seeds=3", "--json").stdout), &told); err != nil {
		t.Fatal(err)
	}
	table := oncepay(nil, "simulate", "--seeds=3").stdout
	if rows, want := numbers(table), counts(told); !slices.Equal(rows, want) || len(want) < 20 {
		t.Errorf("the table has the counts %v, want %v:\n%s", rows, want, table)
	}
	for _, row := range []string{"payments", "sends to gateways", "checks at gateways", "webhooks"} {
		if !strings.Contains(table, " "+row+" ") {
			t.Errorf("the table has no %s:\n%s", row, table)
		}
	}
	if got := oncepay(nil, "simulate", "--seeds=0"); got.status != exitUsage {
		t.Errorf("no seeds: %+v", got)
	}
}

// numbers are the counts of a table, sorted.
func numbers(table string) (all []int) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if n, err := strconv.Atoi(fields[len(fields)-1]); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// counts are the numbers in JSON, sorted.
func counts(v any) (all []int) {
	switch v := v.(type) {
	case float64:
		all = append(all, int(v))
	case map[string]any:
		for _, member := range v {
			all = append(all, counts(member)...)
		}
	}
	slices.Sort(all)
	return all
}
