package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// configured runs `oncepay config` with a file of the given content (none, if
// it is empty) named by --config.
func configured(t *testing.T, file string, env []string, args ...string) outcome {
	t.Helper()
	t.Chdir(t.TempDir())
	args = append([]string{"config"}, args...)
	if file != "" {
		if err := os.WriteFile("oncepay.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", "oncepay.yaml")
	}
	return oncepay(env, args...)
}

func TestWhereAValueComesFrom(t *testing.T) {
	const file = "window:\n  length: 30h\n"
	env := []string{"ONCEPAY_WINDOW_LENGTH=40h"}
	for sentence, row := range map[string]struct {
		file string
		env  []string
		args []string
		want setting
	}{
		"a default where nothing is said": {want: setting{"window.length", "24h", "default"}},
		"the file beats the default":      {file, nil, nil, setting{"window.length", "30h", "file oncepay.yaml"}},
		"the environment beats the file":  {file, env, nil, setting{"window.length", "40h", "environment ONCEPAY_WINDOW_LENGTH"}},
		"a flag beats the environment":    {file, env, []string{"--window-length", "50h"}, setting{"window.length", "50h", "flag --window-length"}},
		"a flag that says the default is still a flag": {
			file, env, []string{"--window-length=24h"}, setting{"window.length", "24h", "flag --window-length"}},
		"of two flags the last counts":    {args: []string{"--drain=1s", "--drain=2s"}, want: setting{"drain", "2s", "flag --drain"}},
		"the file says nothing of others": {file, nil, nil, setting{"window.skew", "5m", "default"}},

		"a flag alone is true":                    {args: []string{"--dev"}, want: setting{"dev", true, "flag --dev"}},
		"a flag can take back what the file says": {"dev: true", nil, []string{"--dev=false"}, setting{"dev", false, "flag --dev"}},
		"true in the file":                        {file: "dev: true", want: setting{"dev", true, "file oncepay.yaml"}},
		"a quoted value in the file":              {file: `limits: {queue: "5"}`, want: setting{"limits.queue", 5.0, "file oncepay.yaml"}},
		"a number in the file":                    {file: "limits: {queue: 5}", want: setting{"limits.queue", 5.0, "file oncepay.yaml"}},
		"a broken number in the file":             {file: "limits: {rate: 0.5}", want: setting{"limits.rate", 0.5, "file oncepay.yaml"}},
		"days":                                    {file: "tombstones: 500d", want: setting{"tombstones", "500d", "file oncepay.yaml"}},
		"an empty section says nothing":           {file: "window:\nlimits: {}", want: setting{"limits.queue", 16384.0, "default"}},
		"a level of the log":                      {env: []string{"ONCEPAY_LOG_LEVEL=warn"}, want: setting{"log.level", "warn", "environment ONCEPAY_LOG_LEVEL"}},

		"no names":                    {want: setting{"ulid_tenants", "", "default"}},
		"a list in the file":          {file: "ulid_tenants: [acme, beta]", want: setting{"ulid_tenants", "acme beta", "file oncepay.yaml"}},
		"one name in the file":        {file: "ulid_tenants: acme", want: setting{"ulid_tenants", "acme", "file oncepay.yaml"}},
		"a list in the environment":   {env: []string{"ONCEPAY_ULID_TENANTS=acme, beta"}, want: setting{"ulid_tenants", "acme beta", "environment ONCEPAY_ULID_TENANTS"}},
		"an empty variable is a list": {"ulid_tenants: acme", []string{"ONCEPAY_ULID_TENANTS="}, nil, setting{"ulid_tenants", "", "environment ONCEPAY_ULID_TENANTS"}},
		"a list in flags": {
			args: []string{"--ulid-tenants=acme", "--ulid-tenants=beta,gamma"}, want: setting{"ulid_tenants", "acme beta gamma", "flag --ulid-tenants"}},

		"dev on the loopback of IPv6":  {args: []string{"--dev", "--addr", "[::1]:0"}, want: setting{"addr", "[::1]:0", "flag --addr"}},
		"dev on localhost":             {args: []string{"--dev", "--addr", "localhost:80"}, want: setting{"addr", "localhost:80", "flag --addr"}},
		"any address without dev":      {args: []string{"--addr", ":80"}, want: setting{"addr", ":80", "flag --addr"}},
		"variables of others are none": {env: []string{"PATH=/bin", "ONCE=1", "ADDR=x"}, want: setting{"addr", "127.0.0.1:8080", "default"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := configured(t, row.file, row.env, append(row.args, "--json")...)
			if got := find(t, o, row.want.Key); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

// find reads one setting from the output of `oncepay config --json`; a list is
// joined with spaces, so that settings can be compared.
func find(t *testing.T, o outcome, key string) setting {
	t.Helper()
	var out struct{ Settings []setting }
	if err := json.Unmarshal([]byte(o.stdout), &out); err != nil || o.status != exitGood {
		t.Fatalf("exit %d, %v\n%s%s", o.status, err, o.stdout, o.stderr)
	}
	for _, s := range out.Settings {
		if s.Key != key {
			continue
		}
		if list, ok := s.Value.([]any); ok {
			names := make([]string, len(list))
			for i := range list {
				names[i] = list[i].(string)
			}
			s.Value = strings.Join(names, " ")
		}
		return s
	}
	t.Fatalf("no setting %s in\n%s", key, o.stdout)
	return setting{}
}

func TestTheFileCanBeNamedByTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "named.yaml")
	if err := os.WriteFile(path, []byte("drain: 3s"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"ONCEPAY_CONFIG=" + path}
	if got, want := find(t, oncepay(env, "config", "--json"), "drain"), (setting{"drain", "3s", "file " + path}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	o := configured(t, "drain: 4s", env, "--json")
	if got, want := find(t, o, "drain"), (setting{"drain", "4s", "file oncepay.yaml"}); got != want {
		t.Errorf("--config beats ONCEPAY_CONFIG: got %+v, want %+v", got, want)
	}
}

func TestWhatAConfigurationRefuses(t *testing.T) {
	for sentence, row := range map[string]struct {
		file string
		env  []string
		args []string
		want string // in the complaint
	}{
		"what is no link of Kubernetes'":           {env: []string{"ONCEPAY_PORTS=1"}, want: "ONCEPAY_PORTS in the environment is no setting"},
		"a second document":                        {file: "addr: 127.0.0.1:1\n---\nfoo: 1\n", want: "more than one document"},
		"an unknown member, with the nearest":      {file: "adr: x", want: "adr in file oncepay.yaml is no setting; did you mean addr?"},
		"an unknown member of a section":           {file: "window: {lenght: 1d}", want: "window.lenght in file oncepay.yaml is no setting; did you mean window.length?"},
		"a member outside its section":             {file: "retry_horizon: 1h", want: "did you mean window.retry_horizon?"},
		"a member like none":                       {file: "kubernetes: {}", want: "kubernetes in file oncepay.yaml is no setting; `oncepay config` lists them all"},
		"a member in the wrong case":               {file: "Addr: x", want: "did you mean addr?"},
		"a member that is no string":               {file: "1: x", want: "1 in file oncepay.yaml is no setting"},
		"a dot in place of nesting":                {file: "window.length: 1d", want: "window.length in file oncepay.yaml: a member's name has no dot"},
		"a value for a section":                    {file: "window: 1d", want: "window in file oncepay.yaml is a section"},
		"a section for a value":                    {file: "addr: {port: 80}", want: "addr.port in file oncepay.yaml is no setting"},
		"a key without a value":                    {file: "addr:", want: `addr: "" from file oncepay.yaml is not HOST:PORT`},
		"a list for one value":                     {file: "limits: {queue: [5]}", want: `limits.queue: "[5]" from file oncepay.yaml is not a whole number from 1 to 1000000`},
		"a list of lists":                          {file: "ulid_tenants: [[a]]", want: "is not names of tenants"},
		"a name with a comma":                      {file: `ulid_tenants: ["a,b"]`, want: "is not names of tenants"},
		"the same member twice":                    {file: "addr: x\naddr: y", want: `"addr" already defined`},
		"a file that is no YAML":                   {file: "addr: [", want: "file oncepay.yaml: yaml:"},
		"a file that is a list":                    {file: "- addr", want: "file oncepay.yaml: "},
		"a file that is not there":                 {args: []string{"--config", "none.yaml"}, want: "file none.yaml: no such file or directory"},
		"a file that is a directory":               {args: []string{"--config", "."}, want: "file .: is a directory"},
		"a file without a name":                    {args: []string{"--config="}, want: "--config is empty"},
		"a file without a name in the environment": {env: []string{"ONCEPAY_CONFIG="}, want: "ONCEPAY_CONFIG is empty"},
		"the file's name in the file":              {file: "config: x", want: "config in file oncepay.yaml is no setting"},

		"an unknown variable, with the nearest": {env: []string{"ONCEPAY_ADR=x"}, want: "ONCEPAY_ADR in the environment is no setting; did you mean ONCEPAY_ADDR?"},
		"a variable without its section":        {env: []string{"ONCEPAY_RETRY_HORIZON=1h"}, want: "did you mean ONCEPAY_WINDOW_RETRY_HORIZON?"},
		"a variable like none":                  {env: []string{"ONCEPAY_KUBERNETES="}, want: "ONCEPAY_KUBERNETES in the environment is no setting; `oncepay config` lists them all"},
		"an empty variable where that is no value": {
			env: []string{"ONCEPAY_ADDR="}, want: `addr: "" from environment ONCEPAY_ADDR is not HOST:PORT, such as 127.0.0.1:8080`},

		"an unknown flag, with the nearest": {args: []string{"--adr=x"}, want: "config has no flag --adr; did you mean --addr?"},
		"a flag without its section":        {args: []string{"--retry-horizon=1h"}, want: "did you mean --window-retry-horizon?"},
		"a flag like none":                  {args: []string{"--kubernetes"}, want: "config has no flag --kubernetes\n"},
		"a wrong flag":                      {args: []string{"--drain=soon"}, want: `drain: "soon" from flag --drain is not a duration from 0s to 3650d, such as 30s, 12h or 400d`},
		"a bool that is an argument":        {args: []string{"--dev", "false"}, want: `config takes no arguments, and "false" is one`},

		"an address without a port":        {args: []string{"--addr=localhost"}, want: "is not HOST:PORT"},
		"a port beyond the last":           {args: []string{"--addr=:65536"}, want: "is not HOST:PORT"},
		"a named port":                     {args: []string{"--addr=:http"}, want: "is not HOST:PORT"},
		"a URL as an address":              {args: []string{"--addr=http://localhost:80"}, want: "is not HOST:PORT"},
		"a store of another kind":          {args: []string{"--store=mysql:x"}, want: `store: "mysql:x" from flag --store is not sqlite:PATH`},
		"a store without a path":           {args: []string{"--store=sqlite:"}, want: "is not sqlite:PATH"},
		"a password is not shown":          {args: []string{"--store=mysql://me:se:c@ret@db/x"}, want: `"mysql://me:…@db/x"`},
		"a bool in other words":            {file: "dev: yes", want: `dev: "yes" from file oncepay.yaml is not true or false`},
		"a duration without a unit":        {args: []string{"--drain=5"}, want: `drain: "5"`},
		"a negative duration":              {args: []string{"--drain=-5s"}, want: `drain: "-5s"`},
		"a duration that overflows":        {args: []string{"--drain=99999d"}, want: `drain: "99999d"`},
		"a window of no length":            {args: []string{"--window-length=0s"}, want: "is not a duration from 1s"},
		"a count of none":                  {args: []string{"--limits-queue=0"}, want: "is not a whole number from 1 to 1000000"},
		"a count with a part":              {args: []string{"--limits-queue=1.5"}, want: "is not a whole number"},
		"a count that is far too high":     {args: []string{"--limits-queue=1000001"}, want: "is not a whole number"},
		"a rate that is no number":         {args: []string{"--limits-rate=NaN"}, want: "is not a number from 0"},
		"a rate without end":               {args: []string{"--limits-rate=Inf"}, want: "is not a number from 0"},
		"a negative rate":                  {args: []string{"--limits-rate=-1"}, want: "is not a number from 0"},
		"a level that there is not":        {args: []string{"--log-level=loud"}, want: "is not debug, info, warn or error"},
		"a level with an offset":           {args: []string{"--log-level=info+1"}, want: "is not debug, info, warn or error"},
		"a form of log that there is not":  {args: []string{"--log-format=xml"}, want: "is not auto, text or json"},
		"a name that no tenant can have":   {args: []string{"--ulid-tenants=a b"}, want: "is not names of tenants"},
		"a list that ends with a comma":    {args: []string{"--ulid-tenants=a,"}, want: "is not names of tenants"},
		"dev on every address":             {args: []string{"--dev", "--addr=:80"}, want: `addr: ":80" from flag --addr is not loopback, and dev (from flag --dev) accepts the API key sk_dev`},
		"dev on an address of the network": {file: "dev: true\naddr: 10.0.0.1:80", want: `addr: "10.0.0.1:80" from file oncepay.yaml is not loopback`},
		"a window shorter than its parts": {args: []string{"--window-length=17h"},
			want: "window.length: 17h from flag --window-length is shorter than retry_horizon 12h + partition 4h + skew 5m + margin 1h = 17h5m"},
		"tombstones that go with the window": {args: []string{"--tombstones=1d"},
			want: "tombstones: 24h from flag --tombstones is not longer than window.length 24h from default"},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := configured(t, row.file, row.env, row.args...)
			if o.status != exitUsage || o.stdout != "" || !strings.Contains(o.stderr, row.want) {
				t.Errorf("got status %d, stdout %q, stderr\n%s\nwant status 2 and %q", o.status, o.stdout, o.stderr, row.want)
			}
			if strings.Contains(o.stderr, "c@ret") {
				t.Error("a password is shown")
			}
		})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	o := configured(t, "adr: x\nlog: {levl: info}", []string{"ONCEPAY_DRIAN=1s"})
	for _, want := range []string{"ONCEPAY_DRAIN?", "did you mean addr?", "did you mean log.level?"} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("no %q in\n%s", want, o.stderr)
		}
	}
	o = configured(t, "drain: x", nil, "--addr=x")
	for _, want := range []string{"oncepay: drain: ", "oncepay: addr: "} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("no %q in\n%s", want, o.stderr)
		}
	}
}

func TestServeGetsTheConfiguration(t *testing.T) {
	var c config
	o := serving(&c)([]string{"ONCEPAY_LIMITS_RATE=2.5"}, "serve", "--dev", "--window-skew=1m", "--ulid-tenants=acme", "--log-format=json")
	if o.status != exitGood || o.stdout != "" || o.stderr != "" {
		t.Fatalf("got %+v", o)
	}
	switch {
	case !c.dev, c.addr != "127.0.0.1:8080", c.limits.rate != 2.5, c.log.format != logJSON,
		c.window.Skew != time.Minute, c.window.length != 24*time.Hour, c.window.RetryHorizon != 12*time.Hour,
		len(c.ulidTenants) != 1, c.tombstones != 400*24*time.Hour:
		t.Errorf("got %+v", c)
	}
	if got := c.sources["limits.rate"]; got != "environment ONCEPAY_LIMITS_RATE" {
		t.Errorf("limits.rate comes from %q", got)
	}
}

func TestServeDoesNotRunWithAWrongConfiguration(t *testing.T) {
	seen := config{addr: "untouched"}
	o := serving(&seen)(nil, "serve", "--dev", "--addr=0.0.0.0:80")
	if o.status != exitUsage || seen.addr != "untouched" {
		t.Errorf("got %+v, and the body saw %+v", o, seen)
	}
}

// In a cluster with a Service that is called oncepay every container has these.
func TestKubernetesServiceLinksAreNoSettings(t *testing.T) {
	env := []string{"ONCEPAY_SERVICE_HOST=10.0.0.1", "ONCEPAY_SERVICE_PORT=8080", "ONCEPAY_SERVICE_PORT_HTTP=8080", "ONCEPAY_PORT=tcp://10.0.0.1:8080",
		"ONCEPAY_PORT_8080_TCP=tcp://10.0.0.1:8080", "ONCEPAY_PORT_8080_TCP_PROTO=tcp", "ONCEPAY_PORT_8080_TCP_PORT=8080", "ONCEPAY_PORT_8080_TCP_ADDR=10.0.0.1"}
	if got := oncepay(env, "config"); got.status != exitGood {
		t.Errorf("%+v", got)
	}
}
