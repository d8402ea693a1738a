package jcs_test

import (
	"errors"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/oncepay/oncepay/internal/jcs"
)

// FuzzParse holds Parse to another strict reader: they take the same texts and,
// where no integer is too large for a double, give them the same form.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		flat, order, `{"a":1,"\u0061":2}`, `"\ud83d\ude00"`, `"\ud83d"`, `[1e400,-0,0.1e-7]`, `{"😀":1,"":2}`, "\ufeff1", `[[[[]]]]`,
		`9007199254740993`, "\"\xff\"", `{"b":{"d":[{}],"c":null},"a":true}`, ` [ 1 , 2 ] `, `01`, `1 2`, `{"a":1,}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := jcs.Parse(text, jcs.Limits{Depth: jcs.MaxDepth, Nodes: len(text)})
		want := jsontext.Value(text).IsValid()
		if err != nil {
			refused(t, text, err, want)
			return
		}
		if !want {
			t.Fatalf("%q is taken", text)
		}
		form := v.AppendCanonical(nil)
		again, err := jcs.Parse(form, jcs.Limits{Depth: jcs.MaxDepth, Nodes: len(form)})
		if err != nil || string(again.AppendCanonical(nil)) != string(form) {
			t.Fatalf("%q has form %s, which has form %s (%v)", text, form, again.AppendCanonical(nil), err)
		}
		theirs := jsontext.Value(append([]byte(nil), text...))
		if err := theirs.Canonicalize(jsontext.CanonicalizeRawInts(false)); err != nil {
			t.Fatal(err)
		}
		if fitsDouble(v) && string(theirs) != string(form) {
			t.Errorf("%q has form %s, want %s", text, form, theirs)
		}
	})
}

func refused(t *testing.T, text []byte, err error, valid bool) {
	t.Helper()
	var e *jcs.Error
	switch {
	case !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text):
		t.Errorf("%q is refused with %#v", text, err)
	case valid && e.Reason != jcs.NumberRange:
		t.Errorf("%q is refused: %v", text, err)
	case len(err.Error()) > 400 || !utf8.ValidString(err.Error()):
		t.Errorf("%q is refused at length: %v", text, err)
	}
}

// fitsDouble says whether every integer in v is one that a double has exactly.
func fitsDouble(v jcs.Value) bool {
	for _, member := range v.Members() {
		if !fitsDouble(member) {
			return false
		}
	}
	for _, element := range v.Elements() {
		if !fitsDouble(element) {
			return false
		}
	}
	if v.Kind() != jcs.Number {
		return true
	}
	n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return false
	}
	return err != nil || -1<<53 <= n && n <= 1<<53 // not an integer: a double anyway
}

// FuzzString takes any string to JSON and back.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\x00", "😀\u2028", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := jcs.AppendString(nil, s)
		v, err := jcs.Parse(quoted, jcs.Limits{Nodes: 1})
		if err != nil {
			t.Fatalf("%q is quoted as %s: %v", s, quoted, err)
		}
		if got, _ := v.Text(); utf8.ValidString(s) && got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
		if form := v.AppendCanonical(nil); string(form) != string(quoted) {
			t.Errorf("%q is quoted as %s, but canonically %s", s, quoted, form)
		}
	})
}
