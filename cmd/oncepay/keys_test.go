package main

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/oncepay/oncepay/web"
)

func TestKeys(t *testing.T) {
	used := map[string]string{configEnv: "the name of the file", configFlag: "the name of the file", "json": "--json", "help": "--help"}
	for _, k := range keys() {
		for _, name := range []string{k.env(), k.flag()} {
			if other, taken := used[name]; taken {
				t.Errorf("%s: %s already stands for %s", k.name, name, other)
			}
			used[name] = k.name
		}
		var c config
		if !k.set(&c, k.def) {
			t.Errorf("%s: the default %q is not %s", k.name, k.def, k.want)
		} else if got := shown(k.get(&c)); got != k.def && k.def != "" {
			t.Errorf("%s: the default %q is shown as %q", k.name, k.def, got)
		}
		if k.help == "" {
			t.Errorf("%s has no help", k.name)
		}
	}
}

func TestACommandCanTakeSomeKeys(t *testing.T) {
	p := &program{env: []string{"ONCEPAY_DRAIN=3s"}, stderr: new(bytes.Buffer)}
	cmd := tryCommand(nil)
	settings := p.settings(cmd, "store")
	if cmd.Flags().Lookup("store") == nil || cmd.Flags().Lookup("config") == nil || cmd.Flags().Lookup("addr") != nil {
		t.Errorf("flags are\n%s", cmd.Flags().FlagUsages())
	}
	if err := cmd.ParseFlags([]string{"--store=sqlite:x.db"}); err != nil {
		t.Fatal(err)
	}
	c, err := settings.load()
	if err != nil || c.store != "sqlite:x.db" || c.drain != 3*time.Second {
		t.Errorf("got store %q, drain %v, %v", c.store, c.drain, err)
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute,
		"1d": day, "400d": 400 * day, "1d12h": 36 * time.Hour, "0d": 0, "99999d": 99999 * day,
	} {
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "d", "5", "1.5d", "-1d", "1d-1h", "1h1d", "100000d", "1 d", "1day", "9999999999h"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", 5 * time.Minute: "5m", 20 * time.Minute: "20m", time.Hour: "1h", 10 * time.Hour: "10h",
		24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 2 * day: "2d", 400 * day: "400d", 49 * time.Hour: "49h",
		time.Hour + time.Second: "1h0m1s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is shown as %q, want %q", d, got, want)
		}
	}
}

func TestPasswordsAreHidden(t *testing.T) {
	for text, want := range map[string]string{
		"sqlite:./a b.db":                "sqlite:./a b.db",
		"postgres://db/x":                "postgres://db/x",
		"postgres://me@db/x":             "postgres://me@db/x",
		"postgres://me:secret@db/x":      "postgres://me:…@db/x",
		"postgres://me:se/c@ret@db/x":    "postgres://me:…@db/x",
		"postgres://me:a:b@c@db/x":       "postgres://me:…@db/x",
		"postgres://:secret@db/x":        "postgres://:…@db/x",
		"postgres://db/x?password=s&a=b": "postgres://db/x?password=…",
		"host=db PassWord='se cret'":     "host=db PassWord=…",
	} {
		if got := withoutPassword(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"addr", "dev", "window.length", "limits.queue", "limits.tenant_queue"}
	for name, want := range map[string]string{
		"adr": "addr", "ADDR": "addr", "window_length": "window.length", "length": "window.length", "queue": "limits.queue",
		"tenant_queue": "limits.tenant_queue", "gth": "", "": "", "kubernetes": "", "foo": "",
	} {
		if got, _ := nearest(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("distance of %q and %q: got %d, want %d", row.a, row.b, got, row.want)
		}
	}
}

// One number bounds connections, whoever says it: the reasons stand there.
func TestConnectionsAreThoseOfTheServer(t *testing.T) {
	k, ok := findKey(func(k key) bool { return k.name == "limits.connections" })
	if want := strconv.Itoa(web.MaxConnections); !ok || k.def != want {
		t.Errorf("the default is %s, want %s", k.def, want)
	}
}
