package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is wrong with a body is told with a pointer and a sentence, and leaves
// the key free: the mended request is executed under it.
func TestWrongBodies(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	const unfit = "invalid"
	for name, row := range map[string]struct {
		body    string
		status  int
		code    string
		pointer string // of the first error
	}{
		"a body 10,000 levels deep":                {strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), 400, "bad_json", ""},
		"a body 33 levels deep":                    {`{"metadata":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, 400, "bad_json", ""},
		"a body 32 levels deep is only not a body": {strings.Repeat("[", 32) + strings.Repeat("]", 32), 422, unfit, ""},
		"a member twice":                           {`{"from":"alice","to":"bob","amount":1,"amount":2,"currency":"EUR"}`, 400, "bad_json", ""},
		"a member twice, once escaped":             {`{"from":"alice","to":"bob","amount":1,"\u0061mount":1,"currency":"EUR"}`, 400, "bad_json", ""},
		"a member of metadata twice":               {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":{"a":"1","a":"2"}}`, 400, "bad_json", ""},
		"a truncated body":                         {`{"from":"alice","to":"bo`, 400, "bad_json", ""},
		"trailing bytes":                           {transferBody("1") + "x", 400, "bad_json", ""},
		"two bodies":                               {transferBody("1") + transferBody("1"), 400, "bad_json", ""},
		"invalid UTF-8":                            {strings.Replace(transferBody("1"), "bob", "b\xffb", 1), 400, "bad_json", ""},
		"half a surrogate pair":                    {strings.Replace(transferBody("1"), "bob", `b\ud800b`, 1), 400, "bad_json", ""},
		"a byte order mark":                        {"\ufeff" + transferBody("1"), 400, "bad_json", ""},
		"white space only":                         {"  \n", 400, "bad_json", ""},
		"a number that no double can hold":         {transferBody("1e999"), 422, unfit, ""},
		"no body":                                  {"", 422, unfit, "/from"},
		"an array":                                 {`[]`, 422, unfit, ""},
		"null":                                     {`null`, 422, unfit, ""},
		"an amount with an exponent":               {transferBody("1e2"), 422, unfit, "/amount"},
		"an amount with a point":                   {transferBody("1.0"), 422, unfit, "/amount"},
		"a negative amount":                        {transferBody("-1"), 422, unfit, "/amount"},
		"an amount of nothing":                     {transferBody("0"), 422, unfit, "/amount"},
		"an amount of minus nothing":               {transferBody("-0"), 422, unfit, "/amount"},
		"an amount of 2^63":                        {transferBody("9223372036854775808"), 422, unfit, "/amount"},
		"an amount of a hundred digits":            {transferBody(strings.Repeat("9", 100)), 422, unfit, "/amount"},
		"an amount in a string":                    {transferBody(`"1"`), 422, unfit, "/amount"},
		"an amount that is null":                   {transferBody("null"), 422, unfit, "/amount"},
		"an amount that is true":                   {transferBody("true"), 422, unfit, "/amount"},
		"an unknown currency":                      {strings.Replace(transferBody("1"), "EUR", "EUX", 1), 422, unfit, "/currency"},
		"a lower-case currency":                    {strings.Replace(transferBody("1"), "EUR", "eur", 1), 422, unfit, "/currency"},
		"a currency that is gold":                  {strings.Replace(transferBody("1"), "EUR", "XAU", 1), 422, unfit, "/currency"},
		"a currency of four letters":               {strings.Replace(transferBody("1"), "EUR", "EURO", 1), 422, unfit, "/currency"},
		"a currency that is a number":              {strings.Replace(transferBody("1"), `"EUR"`, "978", 1), 422, unfit, "/currency"},
		"an unknown member":                        {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","amont":1}`, 422, unfit, "/amont"},
		"an unknown member with a slash":           {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","a/b~c":1}`, 422, unfit, "/a~1b~0c"},
		"a member in another case":                 {strings.Replace(transferBody("1"), "amount", "Amount", 1), 422, unfit, "/Amount"},
		"a member of a batch":                      {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","idempotency_key":"k"}`, 422, unfit, "/idempotency_key"},
		"an unknown account":                       {strings.Replace(transferBody("1"), "bob", "nobody", 1), 422, unfit, "/to"},
		"an account's id with a space":             {strings.Replace(transferBody("1"), "bob", "b b", 1), 422, unfit, "/to"},
		"an account's id of 65 characters":         {strings.Replace(transferBody("1"), "bob", strings.Repeat("b", 65), 1), 422, unfit, "/to"},
		"an account's id of nothing":               {strings.Replace(transferBody("1"), "bob", "", 1), 422, unfit, "/to"},
		"an account's id that is a number":         {strings.Replace(transferBody("1"), `"bob"`, "7", 1), 422, unfit, "/to"},
		"the same account twice":                   {strings.Replace(transferBody("1"), "bob", "alice", 1), 422, unfit, "/to"},
		"a reference of nothing":                   {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","reference":""}`, 422, unfit, "/reference"},
		"a reference that is null":                 {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","reference":null}`, 422, unfit, "/reference"},
		"a reference of two lines":                 {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","reference":"a\nb"}`, 422, unfit, "/reference"},
		"a reference of 256 characters":            {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","reference":"` + strings.Repeat("é", 256) + `"}`, 422, unfit, "/reference"},
		"a flag that is a number":                  {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","pending":1}`, 422, unfit, "/pending"},
		"a time that is no RFC 3339":               {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","pending":true,"expires_at":"tomorrow"}`, 422, unfit, "/expires_at"},
		"a time without a zone":                    {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","pending":true,"expires_at":"2999-01-01T00:00:00"}`, 422, unfit, "/expires_at"},
		"a time that is over":                      {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","pending":true,"expires_at":"2020-01-01T00:00:00Z"}`, 422, unfit, "/expires_at"},
		"an end of a transfer that is not held":    {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","expires_at":"2999-01-01T00:00:00Z"}`, 422, unfit, "/expires_at"},
		"metadata that is an array":                {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":[]}`, 422, unfit, "/metadata"},
		"metadata that is null":                    {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":null}`, 422, unfit, "/metadata"},
		"metadata of 51 pairs":                     {withMetadata(51, "n", "v"), 422, unfit, "/metadata"},
		"metadata with a number":                   {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":{"a":1}}`, 422, unfit, "/metadata/a"},
		"metadata with a name of 41 characters":    {withMetadata(1, strings.Repeat("ü", 40), "v"), 422, unfit, "/metadata/0" + strings.Repeat("ü", 40)},
		"metadata with a name of nothing":          {`{"from":"alice","to":"bob","amount":1,"currency":"EUR","metadata":{"":"v"}}`, 422, unfit, "/metadata/"},
		"metadata with a value of 501 characters":  {withMetadata(1, "n", strings.Repeat("ü", 501)), 422, unfit, "/metadata/0n"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.post(keyOf(name), "/v1/transfers", row.body)
			if a.status != row.status || a.code() != row.code {
				t.Fatalf("got %d %s, want %d %s", a.status, a.body, row.status, row.code)
			}
			var p struct {
				Errors []struct{ Pointer, Detail string }
			}
			if json.Unmarshal([]byte(a.body), &p); row.code == unfit && (len(p.Errors) == 0 || p.Errors[0].Pointer != row.pointer) {
				t.Errorf("got the errors %v, want a first pointer %q", p.Errors, row.pointer)
			}
			if a.header.Get("Idempotency-Expires") == "" {
				t.Error("no Idempotency-Expires")
			}
			if again := h.post(keyOf(name), "/v1/transfers", transferBody("1")); again.status != 201 || again.header.Get("Idempotency-Replayed") != "" {
				t.Errorf("mended: %d %s, want it executed", again.status, again.body)
			}
		})
	}
}

// withMetadata makes a transfer with n pairs: numbered names, one value.
func withMetadata(n int, name, value string) string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint(i)+name] = value
	}
	b, _ := json.Marshal(m)
	return strings.TrimSuffix(transferBody("1"), "}") + `,"metadata":` + string(b) + `}`
}

// An account that could be opened but has no address is not opened.
func TestAccountsHaveAnAddress(t *testing.T) {
	h := newHouse(t, nil)
	for id, want := range map[string]int{".": 422, "..": 422, "...": 201, ".a": 201, "a.": 201, "..:": 201, "-": 201} {
		t.Run(id, func(t *testing.T) {
			a := h.post("open-"+id, "/v1/accounts", `{"id":"`+id+`","currency":"EUR"}`)
			if a.status != want || want == 422 && !strings.Contains(a.body, `"pointer":"/id","detail":"An account's id cannot be`) {
				t.Fatalf("got %v, want %d", a, want)
			}
			if a := h.do("GET", "/v1/accounts/"+id, ""); want == 201 && a.status != 200 {
				t.Errorf("it is opened and cannot be read: %v", a)
			}
		})
	}
}

// What is as large as the limits allow is taken.
func TestBodiesAtTheLimit(t *testing.T) {
	for name, body := range map[string]string{
		"the largest amount": transferBody("9223372036854775807"),
		"characters, not bytes, are counted": strings.TrimSuffix(withMetadata(1, strings.Repeat("ü", 39), strings.Repeat("ü", 500)), "}") +
			`,"reference":"` + strings.Repeat("€", 255) + `"}`,
		"50 pairs of metadata":         withMetadata(50, "n", "v"),
		"a time with an offset":        `{"from":"alice","to":"bob","amount":1,"currency":"EUR","pending":true,"expires_at":"2999-01-01T00:00:00.123456789+02:00"}`,
		"names and strings as escapes": `{"\u0066rom":"al\u0069ce","to":"bob","amount":1,"currency":"EUR"}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.open()
			if a := h.post("k", "/v1/transfers", body); a.status != 201 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

// Several mistakes are told at once, but not more than anyone mends.
func TestAllMistakesAreToldAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	a := h.post("k", "/v1/transfers", `{"to":7,"amount":1.5,"currency":"eur","colour":"red"}`)
	for _, pointer := range []string{`"/to"`, `"/amount"`, `"/currency"`, `"/colour"`, `"/from"`} {
		if !strings.Contains(a.body, pointer) {
			t.Errorf("%s is not told in %s", pointer, a.body)
		}
	}
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, `"x%d":0,`, i)
	}
	a = h.post("k", "/v1/transfers", "{"+strings.TrimSuffix(many.String(), ",")+"}")
	if n := strings.Count(a.body, `"pointer"`); n != maxIssues {
		t.Errorf("%d mistakes are told, want %d", n, maxIssues)
	}
}

// Amounts that a double cannot tell apart are different requests.
func TestAmountsThatDifferBeyondADouble(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	h.post("k", "/v1/transfers", transferBody("9007199254740992"))
	if a := h.post("k", "/v1/transfers", transferBody("9007199254740993")); a.code() != "key_reused" {
		t.Errorf("got %d %s, want key_reused", a.status, a.body)
	}
}

// What is wrong with the key is told before anything else about the request.
func TestWrongKeys(t *testing.T) {
	h := newHouse(t, nil)
	for name, row := range map[string]struct {
		lines []string
		code  string
	}{
		"no key":                          {nil, "key_missing"},
		"an empty key":                    {[]string{""}, "key_malformed"},
		"two keys":                        {[]string{"a", "b"}, "key_malformed"},
		"the same key twice":              {[]string{"a", "a"}, "key_malformed"},
		"300 characters":                  {[]string{strings.Repeat("k", 300)}, "key_malformed"},
		"256 characters":                  {[]string{strings.Repeat("k", 256)}, "key_malformed"},
		"a space":                         {[]string{"a b"}, "key_malformed"},
		"a control character":             {[]string{"a\x01b"}, "key_malformed"},
		"a character that is not ASCII":   {[]string{"schlüssel"}, "key_malformed"},
		"an empty quoted key":             {[]string{`""`}, "key_malformed"},
		"a quoted key that does not end":  {[]string{`"abc`}, "key_malformed"},
		"a quoted key with more behind":   {[]string{`"abc" x`}, "key_malformed"},
		"two quoted keys in one line":     {[]string{`"a", "b"`}, "key_malformed"},
		"a quoted key with a space":       {[]string{`"a b"`}, "key_malformed"},
		"a quoted key with a wrong slash": {[]string{`"a\b"`}, "key_malformed"},
		"a quoted key of 256 characters":  {[]string{`"` + strings.Repeat("k", 256) + `"`}, "key_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("POST", "/v1/transfers", "{broken")
			r.Header["Idempotency-Key"] = row.lines
			if a := h.send(r); a.status != 400 || a.code() != row.code {
				t.Errorf("got %d %s, want %s", a.status, a.body, row.code)
			}
		})
	}
}

// Quoted or bare, a key is what it names.
func TestKeysThatAreTheSame(t *testing.T) {
	for name, pair := range map[string][2]string{
		"bare and quoted":               {"abc", `"abc"`},
		"with a quote in it":            {`a"b`, `"a\"b"`},
		"with a backslash in it":        {`a\b`, `"a\\b"`},
		"255 characters":                {strings.Repeat("k", 255), `"` + strings.Repeat("k", 255) + `"`},
		"parameters name nothing":       {"abc", `"abc";version=1`},
		"white space around is no part": {"abc", `"abc" `},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.open()
			first := h.post(pair[0], "/v1/transfers", transferBody("1"))
			second := h.post(pair[1], "/v1/transfers", transferBody("1"))
			if first.status != 201 || second.header.Get("Idempotency-Replayed") != "true" || second.body != first.body {
				t.Errorf("%s: %v, %s: %v; want the second to repeat the first", pair[0], first, pair[1], second)
			}
		})
	}
}

// The form of a body is part of the request's form: it is refused before it is
// read.
func TestMediaTypes(t *testing.T) {
	h := newHouse(t, nil)
	for name, row := range map[string]struct {
		fields []string
		body   string
		status int
	}{
		"JSON":                         {[]string{"Content-Type", "application/json"}, "{}", 422},
		"JSON, spelt otherwise":        {[]string{"Content-Type", `Application/JSON; charset="UTF-8"`}, "{}", 422},
		"JSON, not encoded":            {[]string{"Content-Encoding", "identity"}, "{}", 422},
		"no body needs no media type":  {[]string{"Content-Type", ""}, "", 422},
		"no media type":                {[]string{"Content-Type", ""}, "{}", 415},
		"a form":                       {[]string{"Content-Type", "application/x-www-form-urlencoded"}, "{}", 415},
		"text":                         {[]string{"Content-Type", "text/json"}, "{}", 415},
		"another charset":              {[]string{"Content-Type", "application/json; charset=latin1"}, "{}", 415},
		"a media type that is none":    {[]string{"Content-Type", "json"}, "{}", 415},
		"a body that is compressed":    {[]string{"Content-Encoding", "gzip"}, "{}", 415},
		"a problem is no request body": {[]string{"Content-Type", "application/problem+json"}, "{}", 415},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.do("POST", "/v1/transfers", row.body, append(row.fields, "Idempotency-Key", "k")...)
			if a.status != row.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, row.status)
			}
		})
		t.Run(name+", chunked", func(t *testing.T) {
			r := request("POST", "/v1/transfers", row.body, append(row.fields, "Idempotency-Key", "k")...)
			r.ContentLength = -1
			if a := h.send(r); a.status != row.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, row.status)
			}
		})
	}
}

// A body over the limit is refused, whether it says its length or not, and one
// at the limit is read.
func TestBodySizes(t *testing.T) {
	h := newHouse(t, nil)
	fill := func(n int) string { return strings.Repeat(" ", n-2) + "{}" }
	for name, row := range map[string]struct {
		target string
		size   int
		status int
	}{
		"a body of 1 MiB":              {"/v1/transfers", MaxBody, 422},
		"a body of a byte more":        {"/v1/transfers", MaxBody + 1, 413},
		"a batch of 8 MiB":             {"/v1/transfers/batch", MaxBatchBody, 422},
		"a batch of a byte more":       {"/v1/transfers/batch", MaxBatchBody + 1, 413},
		"an account of a byte more":    {"/v1/accounts", MaxBody + 1, 413},
		"an absent body that is close": {"/v1/transfers/tr_x/void", MaxBody + 1, 413},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %t", name, chunked), func(t *testing.T) {
				r := request("POST", row.target, fill(row.size), "Idempotency-Key", "k")
				if chunked {
					r.ContentLength = -1
				}
				if a := h.send(r); a.status != row.status {
					t.Errorf("got %d %s, want %d", a.status, a.body, row.status)
				}
			})
		}
	}
}

// A body that breaks off is no body, whatever was in it.
func TestABodyThatBreaksOff(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	r := httptest.NewRequest("POST", "/v1/transfers", io.MultiReader(strings.NewReader(transferBody("1")), brokenReader{}))
	r.Header = request("POST", "/", "{}", "Idempotency-Key", "k").Header
	r.ContentLength = 1000
	if a := h.send(r); a.status != 400 || a.code() != "bad_json" {
		t.Errorf("got %d %s, want bad_json", a.status, a.body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What depends on the accounts is a final answer, kept under the key.
func TestRefusalsByTheLedgerAreKept(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		code string
	}{
		"insufficient funds":                          {`{"from":"bob","to":"alice","amount":1,"currency":"EUR"}`, "insufficient_funds"},
		"the wrong currency":                          {strings.Replace(transferBody("1"), "EUR", "USD", 1), "currency_mismatch"},
		"a closed account":                            {strings.Replace(transferBody("1"), "bob", "shut", 1), "account_closed"},
		"a balance too large":                         {strings.Replace(transferBody("9223372036854775807"), "bob", "rich", 1), "balance_overflow"},
		"an unknown account is not: it may be opened": {strings.Replace(transferBody("1"), "bob", "late", 1), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.open()
			h.post("a", "/v1/accounts", `{"id":"shut","currency":"EUR"}`)
			h.post("b", "/v1/accounts/shut/close", "")
			h.post("c", "/v1/accounts", `{"id":"rich","currency":"EUR"}`)
			h.post("d", "/v1/transfers", strings.Replace(transferBody("1"), "bob", "rich", 1))
			first := h.post("k", "/v1/transfers", row.body)
			if first.status != 422 || first.code() != row.code {
				t.Fatalf("got %d %s, want %s", first.status, first.body, row.code)
			}
			again := h.post("k", "/v1/transfers", row.body)
			kept := again.header.Get("Idempotency-Replayed") == "true" && again.body == first.body
			if kept != (row.code != "invalid") {
				t.Errorf("again: %v", again)
			}
		})
	}
}

// Another tenant's resource looks like none, and another tenant's key is
// another key.
func TestTenantsDoNotMeet(t *testing.T) {
	h := newHouse(t, nil)
	h.open()
	made := h.post("k", "/v1/transfers", transferBody("1"))
	var tr struct{ ID string }
	json.Unmarshal([]byte(made.body), &tr)
	as := []string{"Authorization", "Bearer sk_other", "Idempotency-Key", "k"}
	for _, r := range [][3]string{
		{"GET", "/v1/accounts/alice"}, {"GET", "/v1/accounts/alice?at=2999-01-01T00:00:00Z"}, {"GET", "/v1/accounts/alice/entries"},
		{"PUT", "/v1/accounts/alice", `{"min_balance":1}`}, {"POST", "/v1/accounts/alice/close"},
		{"GET", "/v1/transfers/" + tr.ID}, {"POST", "/v1/transfers/" + tr.ID + "/post"}, {"POST", "/v1/transfers/" + tr.ID + "/void"},
		{"POST", "/v1/transfers/" + tr.ID + "/reverse"}, {"GET", "/v1/keys?key=k"},
	} {
		theirs := h.do(r[0], r[1], r[2], as...)
		none := h.do(r[0], strings.NewReplacer("alice", "nobody", tr.ID, "tr_none", "key=k", "key=none").Replace(r[1]), r[2], as...)
		if theirs.status != 404 || theirs.code() != "not_found" || strip(theirs.body) != strip(none.body) {
			t.Errorf("%s %s: got %s, want the 404 of what does not exist: %s", r[0], r[1], theirs.body, none.body)
		}
	}
	for _, list := range []string{"/v1/accounts", "/v1/transfers", "/v1/events"} {
		if a := h.do("GET", list, "", as...); a.body != `{"data":[],"next_cursor":null}` {
			t.Errorf("GET %s shows another tenant %s", list, a.body)
		}
	}
	if a := h.do("POST", "/v1/accounts", `{"id":"alice","currency":"USD"}`, as...); a.status != 201 || a.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the same key and the same id of another tenant: %v, want an account of their own", a)
	}
}

// strip takes out of a problem what is new in every one.
func strip(problem string) string {
	at := strings.Index(problem, `"request_id":"`)
	if at < 0 {
		return problem
	}
	return problem[:at] + problem[at+len(`"request_id":"req_`)+26:]
}
