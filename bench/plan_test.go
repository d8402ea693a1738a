package bench

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAWrongConfigSaysWhatToWrite(t *testing.T) {
	good := Config{Target: "http://127.0.0.1:8080"}
	if err := good.Check(); err != nil {
		t.Errorf("only a target: %v", err)
	}
	for name, row := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no target":                      {func(c *Config) { c.Target = "" }, "give one such as http://127.0.0.1:8080"},
		"a target without a scheme":      {func(c *Config) { c.Target = "localhost:8080" }, "give one such as"},
		"a mix of less than all":         {func(c *Config) { c.Mix = Mix{Fresh: 50} }, "add up to 100"},
		"a mix with a negative share":    {func(c *Config) { c.Mix = Mix{Fresh: 110, Hot: -10} }, "add up to 100"},
		"an unknown scenario":            {func(c *Config) { c.Scenario = "gale" }, `give one of ["mix" "storm" "raw"]`},
		"an unknown form of keys":        {func(c *Config) { c.Keys = "ulid" }, `give one of ["uuidv7" "random"]`},
		"too many connections":           {func(c *Config) { c.Connections = 10_001 }, "give one from 1 to 10000"},
		"a negative number of them":      {func(c *Config) { c.Connections = -1 }, "give one from 1 to 10000"},
		"one account":                    {func(c *Config) { c.Accounts = 1 }, "give one from 2 to 100000"},
		"a batch past the limit":         {func(c *Config) { c.BatchSize = 1_001 }, "give one from 1 to 1000"},
		"a rate that is no number":       {func(c *Config) { c.Rate = math.NaN() }, "give one from 0 to 1e+06"},
		"a negative number of requests":  {func(c *Config) { c.Requests = -1 }, "requests is -1"},
		"a run longer than keys live":    {func(c *Config) { c.Duration = 24 * time.Hour }, "give one from 1ms to 23h"},
		"an API key that ends the line":  {func(c *Config) { c.APIKey = "sk\r\nX: y" }, "no header can carry"},
		"a negative timeout of requests": {func(c *Config) { c.RequestTimeout = -1 }, "request timeout is -1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			row.change(&c)
			_, err := Run(t.Context(), c, nil)
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("err is %v, want one that says %q", err, row.says)
			}
		})
	}
}

func TestAPlanRemembersNothingAndRepeatsEverything(t *testing.T) {
	cfg := Config{Mix: Mix{Fresh: 40, Hot: 30, Batch: 30}, BatchSize: 3, Seed: 7}.withDefaults()
	began := time.UnixMilli(1_800_000_000_000)
	one, same, other := newPlan(cfg, 1, began), newPlan(cfg, 1, began), newPlan(cfg, 2, began)
	keys, seen := map[string]bool{}, map[class]int{}
	for n := range uint64(1_000) {
		seen[one.class(n)]++
		for index := n * 3; index < n*3+3; index++ {
			body, key := string(one.appendBody(nil, index)), string(one.appendKey(nil, index))
			if body != string(same.appendBody(nil, index)) || key != string(same.appendKey(nil, index)) {
				t.Fatalf("index %d is not the same twice", index)
			}
			if one.transfer(index) != other.transfer(index) {
				t.Fatalf("index %d is another transfer in another run of the seed", index)
			}
			if foreign := string(other.appendKey(nil, index)); keys[key] || keys[foreign] {
				t.Fatalf("key %s or %s of index %d was used before", key, foreign, index)
			} else {
				keys[key], keys[foreign] = true, true
			}
			if x := one.transfer(index); x.from == x.to || max(x.from, x.to) > 999 || x.amount < 1 || x.amount > 1_000 || (one.class(n) == hot && x.from != 0) {
				t.Fatalf("index %d is %+v", index, x)
			}
		}
	}
	if seen[fresh] < 350 || seen[hot] < 250 || seen[batch] < 250 || seen[duplicate] != 0 {
		t.Errorf("of 1,000 requests the classes are %v, want about 400, 300 and 300", seen)
	}
}

func TestKeysAreUUIDsOfTheirKindAndNeverOfTheFuture(t *testing.T) {
	began := time.UnixMilli(1_800_000_000_000)
	for keys, form := range map[string]string{
		UUIDv7: `^01a3185c-5000-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		Random: `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
	} {
		p := newPlan(Config{Keys: keys}.withDefaults(), 5, began)
		for index := range uint64(256) {
			if key := string(p.appendKey(nil, index)); !regexp.MustCompile(form).MatchString(key) {
				t.Fatalf("%s key %d is %s, want %s", keys, index, key, form)
			}
		}
	}
	p := newPlan(Config{}.withDefaults(), 5, began)
	if first, later := string(p.appendKey(nil, 0)), string(p.appendKey(nil, 256*1_000)); later[:13] != "01a3185c-53e8" || first > later {
		t.Errorf("after 256,000 requests, one second at the highest rate, the key is %s, and the first was %s", later, first)
	}
}

func TestABodyIsTheContracts(t *testing.T) {
	p := newPlan(Config{Seed: 3}.withDefaults(), 0xabc, time.Now())
	var o order
	d := json.NewDecoder(strings.NewReader(string(p.appendBody(nil, 9))))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil || !strings.HasPrefix(o.From, "bench-0000000000000abc-") || o.Amount < 1 || o.Currency != "EUR" || o.From == o.To {
		t.Errorf("the body %s is %+v, %v", p.appendBody(nil, 9), o, err)
	}
}

func TestMemoryIsBoundedAndTheSampleStaysSpread(t *testing.T) {
	o := newOutcomes(newPlan(Config{}.withDefaults(), 1, time.Now()))
	const n = 3 * maxKept
	for i := range uint64(n) {
		o.acknowledge(i, nil)
	}
	if o.acked != n || len(o.kept) > maxKept || len(o.kept) < maxKept/2 || cap(o.kept) > 2*maxKept {
		t.Fatalf("%d acknowledged, %d kept, room for %d", o.acked, len(o.kept), cap(o.kept))
	}
	for i, k := range o.kept[1:] {
		if k.index-o.kept[i].index != 4 {
			t.Fatalf("kept %d after %d, want every fourth", k.index, o.kept[i].index)
		}
	}
	some := o.sample(auditSample)
	if len(some) > auditSample || len(some) < auditSample/2 || some[len(some)-1].index < n-n/auditSample*2 {
		t.Errorf("a sample of %d, up to %d", len(some), some[len(some)-1].index)
	}
	if all := o.sample(maxKept); len(all) != len(o.kept) {
		t.Errorf("a sample as large as what is kept has %d of %d", len(all), len(o.kept))
	}
}

func TestARunThatLosesEverythingGivesUp(t *testing.T) {
	o := newOutcomes(newPlan(Config{}.withDefaults(), 1, time.Now()))
	for i := range uint64(maxUnknown) {
		if err := o.doubt(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.doubt(maxUnknown); err != errTooManyUnknown {
		t.Errorf("err is %v", err)
	}
}

func TestAnAnswerMeansWhatTheContractSays(t *testing.T) {
	for name, row := range map[string]struct {
		ans  answer
		err  error
		want verdict
	}{
		"201 is a transfer":                     {answer{status: 201}, nil, acknowledged},
		"a business refusal moved nothing":      {answer{status: 422}, nil, refused},
		"503 says that nothing began":           {answer{status: 503}, nil, refused},
		"429 says that nothing began":           {answer{status: 429}, nil, refused},
		"an expired key is never executed":      {answer{status: 409, body: []byte(`{"code":"key_expired"}`)}, nil, refused},
		"somebody is still at it":               {answer{status: 409, body: []byte(`{"code":"in_progress"}`)}, nil, unknown},
		"500 says nothing":                      {answer{status: 500}, nil, unknown},
		"a proxy's 502 says nothing":            {answer{status: 502}, nil, unknown},
		"200 is no answer to a new transfer":    {answer{status: 200}, nil, unknown},
		"202 is interim":                        {answer{status: 202}, nil, unknown},
		"a broken connection says nothing":      {answer{}, errReset, unknown},
		"without a connection nothing was sent": {answer{}, errNotSent, refused},
	} {
		if got := verdictOf(row.ans, row.err); got != row.want {
			t.Errorf("%s: verdict %d, want %d", name, got, row.want)
		}
	}
}
