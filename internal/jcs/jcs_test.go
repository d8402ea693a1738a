package jcs_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/oncepay/oncepay/internal/jcs"
)

const order = ` {"b": [1, "two", null, {}], "a": {"x": -1.50}, "caf\u00e9": true, "": false} `

// usual is what a caller allows that has all of a text in mind.
var usual = jcs.Limits{Depth: 32, Nodes: jcs.MaxLen}

func TestValuesAreRead(t *testing.T) {
	v := parse(t, order)
	if v.Kind() != jcs.Object || v.Len() != 4 || string(v.Raw()) != order[1:len(order)-1] {
		t.Errorf("the object is %v of %d: %s", v.Kind(), v.Len(), v.Raw())
	}
	for name, row := range map[string]struct {
		kind jcs.Kind
		size int
		raw  string
	}{
		"b":    {jcs.Array, 4, `[1, "two", null, {}]`},
		"a":    {jcs.Object, 1, `{"x": -1.50}`},
		"café": {jcs.Bool, 0, `true`},
		"":     {jcs.Bool, 0, `false`},
	} {
		got, ok := v.Member(name)
		if !ok || got.Kind() != row.kind || got.Len() != row.size || string(got.Raw()) != row.raw {
			t.Errorf("member %q is %v of %d: %s", name, got.Kind(), got.Len(), got.Raw())
		}
	}
	for _, name := range []string{"x", "caf", `caf\u00e9`, `"b"`} {
		if got, ok := v.Member(name); ok || got.Raw() != nil {
			t.Errorf("there is no member %q, and it is %s", name, got.Raw())
		}
	}
}

func TestMembersComeInTheOrderOfTheSource(t *testing.T) {
	var got []string
	for name, value := range parse(t, order).Members() {
		got = append(got, name+"="+string(value.Raw()))
	}
	want := []string{`b=[1, "two", null, {}]`, `a={"x": -1.50}`, "café=true", "=false"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for name := range parse(t, order).Members() {
		if name != "b" {
			t.Errorf("after a break came %q", name)
		}
		break
	}
}

func TestElementsComeInOrder(t *testing.T) {
	array, _ := parse(t, order).Member("b")
	var got []string
	for i, element := range array.Elements() {
		if same := array.Index(i); string(same.Raw()) != string(element.Raw()) {
			t.Errorf("element %d is %s and %s", i, element.Raw(), same.Raw())
		}
		got = append(got, string(element.Raw()))
	}
	if want := []string{"1", `"two"`, "null", "{}"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range array.Elements() {
		if i > 0 {
			t.Error("a break did not end the elements")
		}
		break
	}
}

func TestThereIsNoSuchElement(t *testing.T) {
	for text, i := range map[string]int{`[]`: 0, `[1]`: 1, `[1,2]`: -1, `{"a":1}`: 0, `"a"`: 0} {
		t.Run(fmt.Sprintf("%d of %s", i, text), func(t *testing.T) {
			v := parse(t, text)
			defer func() {
				if recover() == nil {
					t.Error("Index did not panic")
				}
			}()
			v.Index(i)
		})
	}
}

func TestOnlyWhatHasContentYieldsIt(t *testing.T) {
	for _, text := range []string{`null`, `true`, `1`, `"ab"`, `[]`, `{}`} {
		v := parse(t, text)
		for name := range v.Members() {
			t.Errorf("%s has member %q", text, name)
		}
		for i := range v.Elements() {
			t.Errorf("%s has element %d", text, i)
		}
		if _, ok := v.Member(""); ok || v.Len() != 0 {
			t.Errorf("%s has %d members", text, v.Len())
		}
	}
}

func TestTextIsDecoded(t *testing.T) {
	for text, want := range map[string]string{
		`""`:                     "",
		`"plain"`:                "plain",
		`"\"\\\/\b\f\n\r\t"`:     "\"\\/\b\f\n\r\t",
		`"\u0041\u00e9\u20AC"`:   "Aé€",
		`"\ud83d\ude00 and 😀"`:   "😀 and 😀",
		`"\u0000"`:               "\x00",
		`"\ufffd\uffff\ufdd0"`:   "\ufffd\uffff\ufdd0", // no characters, but no errors either
		`"\\u0041"`:              `\u0041`,
		"\"\u007f\u2028\u00a0\"": "\u007f\u2028\u00a0",
	} {
		if got, ok := parse(t, text).Text(); !ok || got != want {
			t.Errorf("%s is %q, %t; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{`null`, `1`, `["a"]`, `{"a":"b"}`} {
		if got, ok := parse(t, text).Text(); ok || got != "" {
			t.Errorf("%s has text %q", text, got)
		}
	}
}

func TestWithoutAMember(t *testing.T) {
	v := parse(t, `{"d":{"x":1,"a":[1,2]},"b":"\u0062","a":[{}],"c":{"d":4}}`)
	for name, row := range map[string]struct {
		got  jcs.Value
		want string
	}{
		"the first":                {v.Without("d"), `{"a":[{}],"b":"b","c":{"d":4}}`},
		"one in the middle":        {v.Without("a"), `{"b":"b","c":{"d":4},"d":{"a":[1,2],"x":1}}`},
		"the last":                 {v.Without("c"), `{"a":[{}],"b":"b","d":{"a":[1,2],"x":1}}`},
		"one after the other":      {v.Without("a").Without("d").Without("b"), `{"c":{"d":4}}`},
		"all of them":              {v.Without("a").Without("b").Without("c").Without("d"), `{}`},
		"one that is only inside":  {v.Without("x"), `{"a":[{}],"b":"b","c":{"d":4},"d":{"a":[1,2],"x":1}}`},
		"one of an array":          {parse(t, `["a"]`).Without("a"), `["a"]`},
		"the only one":             {parse(t, `{"\u0061":1}`).Without("a"), `{}`},
		"it stays in the original": {v, `{"a":[{}],"b":"b","c":{"d":4},"d":{"a":[1,2],"x":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(row.got.AppendCanonical(nil)); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
	rest := v.Without("b")
	if _, ok := rest.Member("b"); ok || rest.Len() != 3 {
		t.Errorf("%d members are left", rest.Len())
	}
}

func TestZeroValueIsNull(t *testing.T) {
	var v jcs.Value
	if v.Kind() != jcs.Null || v.Raw() != nil || v.Len() != 0 || string(v.AppendCanonical(nil)) != "null" {
		t.Errorf("got kind %v, raw %q", v.Kind(), v.Raw())
	}
	if _, ok := v.Text(); ok {
		t.Error("it has text")
	}
	for range v.Members() {
		t.Error("it has members")
	}
}

func TestCanonicalFormIsAppended(t *testing.T) {
	got := string(parse(t, `[ 1 ]`).AppendCanonical([]byte("POST\n")))
	if want := "POST\n[1]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStringsAreQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"":                     `""`,
		"plain € 😀":            `"plain € 😀"`,
		"\"\\/":                `"\"\\/"`,
		"\b\t\n\f\r":           `"\b\t\n\f\r"`,
		"\x00\x0b\x1f\x7f":     "\"\\u0000\\u000b\\u001f\x7f\"",
		"</script>\u2028":      "\"</script>\u2028\"",
		"a\xff\xfeb\xed\xa0c":  "\"a\ufffdb\ufffdc\"",
		"in front \n and back": `"in front \n and back"`,
	} {
		if got := string(jcs.AppendString([]byte(":"), s)); got != ":"+want {
			t.Errorf("%q: got %s, want :%s", s, got, want)
		}
	}
}

func TestParsingAllocatesTheTapeOnly(t *testing.T) {
	src, dst := []byte(flat), make([]byte, 0, 256)
	if got := testing.AllocsPerRun(100, func() {
		v, _ := jcs.Parse(src, usual)
		dst = v.AppendCanonical(dst[:0])
	}); got > 1 {
		t.Errorf("%v allocations, want 1", got)
	}
}

func parse(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), usual)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return v
}
