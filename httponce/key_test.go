package httponce_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/oncepay/oncepay/httponce"
	"github.com/oncepay/oncepay/once"
)

func TestKey(t *testing.T) {
	long := strings.Repeat("k", once.MaxKeyLen)
	for name, row := range map[string]struct {
		lines []string
		key   string
		wrong httponce.Mistake
	}{
		"none":                            {nil, "", httponce.NoKey},
		"two lines":                       {[]string{"a", "a"}, "", httponce.ManyKeys},
		"an empty one":                    {[]string{""}, "", httponce.BadCharacters},
		"bare":                            {[]string{"order-42"}, "order-42", 0},
		"quoted":                          {[]string{`"order-42"`}, "order-42", 0},
		"quoted, with a quote in it":      {[]string{`"a\"b"`}, `a"b`, 0},
		"bare, with a quote in it":        {[]string{`a"b`}, `a"b`, 0},
		"quoted, with a backslash in it":  {[]string{`"a\\b"`}, `a\b`, 0},
		"parameters name nothing":         {[]string{`"a";v=1`}, "a", 0},
		"white space behind quotes":       {[]string{`"a" `}, "a", 0},
		"255 characters":                  {[]string{long}, long, 0},
		"255 quoted characters":           {[]string{`"` + long + `"`}, long, 0},
		"256 characters":                  {[]string{long + "k"}, "", httponce.BadCharacters},
		"256 quoted characters":           {[]string{`"` + long + `k"`}, "", httponce.BadCharacters},
		"a space":                         {[]string{"a b"}, "", httponce.BadCharacters},
		"a quoted space":                  {[]string{`"a b"`}, "", httponce.BadCharacters},
		"a character that is not ASCII":   {[]string{"schlüssel"}, "", httponce.BadCharacters},
		"quotes around nothing":           {[]string{`""`}, "", httponce.BadCharacters},
		"one quote":                       {[]string{`"`}, "", httponce.BadQuotes},
		"quotes that do not end":          {[]string{`"abc`}, "", httponce.BadQuotes},
		"quotes with more behind":         {[]string{`"abc" x`}, "", httponce.BadQuotes},
		"two quoted in one line":          {[]string{`"a", "b"`}, "", httponce.BadQuotes},
		"a backslash before another one":  {[]string{`"a\b"`}, "", httponce.BadQuotes},
		"a quoted one that is not ASCII":  {[]string{`"schlüssel"`}, "", httponce.BadQuotes},
		"parameters that are none":        {[]string{`"a";=`}, "", httponce.BadQuotes},
		"a quoted one in another's place": {[]string{`a"b"`}, `a"b"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := httponce.Key(http.Header{"Idempotency-Key": row.lines})
			wrong := (*httponce.KeyError)(nil)
			if errors.As(err, &wrong); key != row.key || row.wrong == 0 && err != nil || row.wrong != 0 && (wrong == nil || wrong.Mistake != row.wrong) {
				t.Fatalf("got %q %v, want %q and mistake %d", key, err, row.key, row.wrong)
			}
			if malformed := row.wrong > httponce.NoKey; errors.Is(err, once.ErrMalformedKey) != malformed {
				t.Errorf("that it is malformed: %v, want %v", !malformed, malformed)
			}
		})
	}
}

// vector is a test of httpwg/structured-field-tests.
type vector struct {
	Name     string   `json:"name"`
	Raw      []string `json:"raw"`
	Expected []any    `json:"expected"` // the value, and its parameters
	MustFail bool     `json:"must_fail"`
}

// All of the HTTP working group's vectors for strings and items: what a quoted key
// says is what a structured field string says, as far as it can be a key.
func TestStructuredFieldVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/structured-field-tests/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("got %v %v", files, err)
	}
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []vector
		if err := json.Unmarshal(text, &vectors); err != nil {
			t.Fatal(err)
		}
		for _, v := range vectors {
			tried++
			checkVector(t, file, v)
		}
	}
	if tried != 13+5+256+2 {
		t.Errorf("there are %d vectors", tried)
	}
}

func checkVector(t *testing.T, file string, v vector) {
	t.Helper()
	item, err := httpsfv.UnmarshalItem(v.Raw)
	if (err != nil) != v.MustFail {
		t.Errorf("%s, %s: a structured field is %v, want that it fails: %v", file, v.Name, err, v.MustFail)
	}
	if n, ok := item.Value.(int64); ok {
		item.Value = float64(n)
	}
	if !v.MustFail && !reflect.DeepEqual(item.Value, v.Expected[0]) {
		t.Errorf("%s, %s: a structured field is %#v, want %#v", file, v.Name, item.Value, v.Expected[0])
	}
	want, bare := v.Raw[0], true
	if strings.HasPrefix(want, `"`) {
		bare = false
		if want = ""; !v.MustFail {
			want = v.Expected[0].(string)
		}
	}
	key, err := httponce.Key(http.Header{"Idempotency-Key": v.Raw})
	if once.CheckID(want) != nil {
		want = ""
	}
	if key != want || (err == nil) != (want != "") {
		t.Errorf("%s, %s: %q is the key %q %v, want %q, bare: %v", file, v.Name, v.Raw, key, err, want, bare)
	}
}

// What ParseKey says of quotes is what a structured field parser says; every key can
// be written in both forms.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"", `"`, `""`, "order-42", `"order-42"`, `"a\"b"`, `"a\\b";v="c"`, `"a" `, `"a`, `a b`, `"\`, `"ü"`, `"a";=`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := httponce.ParseKey(s)
		want := s
		if strings.HasPrefix(s, `"`) {
			item, err := httpsfv.UnmarshalItem([]string{s})
			if want, _ = item.Value.(string); err != nil {
				want = ""
			}
		}
		if valid := once.CheckID(want) == nil; valid != (err == nil) || valid && key != want || !valid && key != "" {
			t.Fatalf("%q is the key %q %v, want %q", s, key, err, want)
		}
		if err != nil {
			return
		}
		quoted, err := httpsfv.Marshal(httpsfv.NewItem(key))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := httponce.ParseKey(quoted); err != nil || again != key {
			t.Fatalf("%q, quoted as %s, is %q %v", key, quoted, again, err)
		}
	})
}

func TestWait(t *testing.T) {
	for name, row := range map[string]struct {
		lines  []string
		wait   time.Duration
		stated bool
	}{
		"nothing":                          {nil, 0, false},
		"seconds":                          {[]string{"wait=5"}, 5 * time.Second, true},
		"none":                             {[]string{"wait=0"}, 0, true},
		"among others":                     {[]string{"respond-async, wait=7"}, 7 * time.Second, true},
		"in another line":                  {[]string{"respond-async", "wait=7"}, 7 * time.Second, true},
		"in another case, quoted, blanks":  {[]string{`WAIT = "7" ; foo=bar`}, 7 * time.Second, true},
		"the first counts":                 {[]string{"wait=1, wait=2"}, time.Second, true},
		"a fraction":                       {[]string{"wait=1.5"}, 0, false},
		"less than none":                   {[]string{"wait=-1"}, 0, false},
		"too many to be a number":          {[]string{"wait=99999999999999999999"}, 0, false},
		"a preference that only begins so": {[]string{"waiting=5"}, 0, false},
		"no value":                         {[]string{"wait"}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if wait, stated := httponce.Wait(http.Header{"Prefer": row.lines}); wait != row.wait || stated != row.stated {
				t.Errorf("got %v %v, want %v %v", wait, stated, row.wait, row.stated)
			}
		})
	}
}
