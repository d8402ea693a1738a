package jcs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/oncepay/oncepay/internal/jcs"
)

// One value has one canonical form, however it is spelled, and another value
// has another.
func FuzzSpellings(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		value := randomValue(r, 4)
		form := canonicalForm(t, spell(r, value))
		for range 5 {
			text := spell(r, value)
			if got := canonicalForm(t, text); got != form {
				t.Fatalf("seed %d: %s\nhas form  %s\ninstead of %s", seed, text, got, form)
			}
			text = spell(r, change(r, value))
			if got := canonicalForm(t, text); got == form {
				t.Fatalf("seed %d: %s\nis another value and has the same form %s", seed, text, form)
			}
		}
	})
}

func canonicalForm(t *testing.T, text string) string {
	t.Helper()
	v, err := jcs.Parse([]byte(text), usual)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return string(v.AppendCanonical(nil))
}

// A value of the tests is nil, a bool, an int64, a float64 that is no integer,
// a string, an []any or a map[string]any.
func randomValue(r *rand.Rand, depth int) any {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return int64(r.Uint64()) >> r.IntN(64)
	case 3:
		return float64(r.IntN(1e6))/1e4 + 1e-5
	case 4:
		return randomText(r)
	case 5:
		array := make([]any, r.IntN(5))
		for i := range array {
			array[i] = randomValue(r, depth-1)
		}
		return array
	}
	object := map[string]any{}
	for range r.IntN(20) { // beyond what is sorted by insertion
		object[randomText(r)] = randomValue(r, depth-1)
	}
	return object
}

func randomText(r *rand.Rand) string {
	letters := []rune("ab\"\\/\b\n\x00\x1f\x7f é€\ue000\uffff😀𐀀")
	text := make([]rune, r.IntN(5))
	for i := range text {
		text[i] = letters[r.IntN(len(letters))]
	}
	return string(text)
}

// change returns another value that differs in one place.
func change(r *rand.Rand, value any) any {
	switch v := value.(type) {
	case bool:
		return !v
	case int64:
		return v ^ 1 // the last digit, also beyond 2^53
	case float64:
		return v + 1e-4
	case string:
		return v + "x"
	case []any:
		if len(v) == 0 || r.IntN(4) == 0 {
			return append(slices.Clone(v), nil)
		}
		v, i := slices.Clone(v), r.IntN(len(v))
		v[i] = change(r, v[i])
		return v
	case map[string]any:
		return changeMember(r, v)
	}
	return "null"
}

func changeMember(r *rand.Rand, object map[string]any) any {
	changed, names := map[string]any{}, []string{}
	for name, value := range object {
		changed[name] = value
		names = append(names, name)
	}
	slices.Sort(names) // one seed, one change
	if len(names) == 0 {
		return map[string]any{"": nil}
	}
	name := names[r.IntN(len(names))]
	switch r.IntN(3) {
	case 0:
		delete(changed, name)
	case 1:
		delete(changed, name)
		changed["new "+name] = object[name]
	case 2:
		changed[name] = change(r, object[name])
	}
	return changed
}

// spell writes value in one of its many spellings.
func spell(r *rand.Rand, value any) string {
	var b strings.Builder
	space := func() { b.WriteString([]string{"", "", " ", "\n\t", "\r\n  "}[r.IntN(5)]) }
	space()
	switch v := value.(type) {
	case int64:
		b.WriteString(spellInteger(r, v))
	case float64:
		b.WriteString(spellFloat(r, v))
	case string:
		b.WriteString(spellText(r, v))
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(spell(r, element))
		}
		space()
		b.WriteByte(']')
	case map[string]any:
		members := []string{}
		for name, member := range v {
			members = append(members, spell(r, name)+":"+spell(r, member))
		}
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		b.WriteString("{" + strings.Join(members, ","))
		space()
		b.WriteByte('}')
	case nil:
		b.WriteString("null")
	default:
		fmt.Fprint(&b, v)
	}
	space()
	return b.String()
}

// spellInteger writes an integer that a double holds as a float now and then.
func spellInteger(r *rand.Rand, n int64) string {
	if n == 0 {
		return []string{"0", "-0", "0.0", "-0e5"}[r.IntN(4)]
	}
	if n > 1<<53 || n < -1<<53 || r.IntN(3) > 0 {
		return strconv.FormatInt(n, 10)
	}
	return spellFloat(r, float64(n))
}

func spellFloat(r *rand.Rand, f float64) string {
	scientific := strconv.FormatFloat(f, 'e', -1, 64)
	switch r.IntN(4) {
	case 0:
		return scientific
	case 1:
		return strings.Replace(strconv.FormatFloat(f, 'E', 17, 64), "E", "000E", 1)
	case 2:
		mantissa, exponent, _ := strings.Cut(scientific, "e")
		whole, fraction, _ := strings.Cut(mantissa, ".")
		e, _ := strconv.Atoi(exponent)
		return whole + fraction + "e" + strconv.Itoa(e-len(fraction)) // the point at the end
	}
	return fmt.Sprintf("%.20f", f)
}

func spellText(r *rand.Rand, s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		short := strings.IndexRune("\"\\/\b\f\n\r\t", c)
		switch must := c < ' ' || c == '"' || c == '\\'; {
		case short >= 0 && r.IntN(2) == 0:
			b.WriteString(`\` + `"\/bfnrt`[short:short+1])
		case must || r.IntN(3) == 0:
			for _, unit := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(&b, []string{`\u%04x`, `\u%04X`}[r.IntN(2)], unit)
			}
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
