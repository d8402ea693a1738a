package jcs

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// usual is what a caller allows that has all of a text in mind.
var usual = Limits{Depth: 32, Nodes: MaxLen}

func TestBadTextsAreRefused(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, row := range map[string]struct {
		text   string
		reason Reason
		offset int
		detail string
	}{
		"nothing":                                 {"", Syntax, 0, "the text ends too early"},
		"white space only":                        {" \t\r\n", Syntax, 4, "the text ends too early"},
		"a truncated object":                      {`{"a":1`, Syntax, 6, "the text ends too early"},
		"a truncated string":                      {`{"a`, Syntax, 3, "the text ends too early"},
		"a truncated escape":                      {`"\`, Syntax, 2, "the text ends too early"},
		"a truncated literal":                     {`tru`, Syntax, 0, "expected a value"},
		"a truncated number":                      {`-`, Syntax, 1, "the text ends too early"},
		"an unknown word":                         {`nil`, Syntax, 0, "expected a value"},
		"a comment":                               {`/* a */ 1`, Syntax, 0, "expected a value"},
		"single quotes":                           {`'a'`, Syntax, 0, "expected a value"},
		"a comma before the end of an object":     {`{"a":1,}`, Syntax, 7, "expected a member's name in double quotes"},
		"a comma before the end of an array":      {`[1,]`, Syntax, 3, "expected a value"},
		"a name without quotes":                   {`{a:1}`, Syntax, 1, "expected a member's name in double quotes"},
		"a name that is no string":                {`{1:1}`, Syntax, 1, "expected a member's name in double quotes"},
		"a member without a colon":                {`{"a" 1}`, Syntax, 5, "expected a colon"},
		"members without a comma":                 {`{"a":1 "b":2}`, Syntax, 7, "expected a comma or a closing brace"},
		"elements without a comma":                {`[1 2]`, Syntax, 3, "expected a comma or a closing bracket"},
		"the wrong bracket":                       {`[1}`, Syntax, 2, "expected a comma or a closing bracket"},
		"a leading zero":                          {`01`, Syntax, 1, "a number has no leading zeros"},
		"a negative leading zero":                 {`-00`, Syntax, 2, "a number has no leading zeros"},
		"a plus":                                  {`+1`, Syntax, 0, "expected a value"},
		"a point without digits after it":         {`[1.]`, Syntax, 3, "expected a digit"},
		"a point without digits before it":        {`.5`, Syntax, 0, "expected a value"},
		"an exponent without digits":              {`[1e+]`, Syntax, 4, "expected a digit"},
		"a hexadecimal number":                    {`0x10`, TrailingData, 1, "something follows the JSON text"},
		"NaN":                                     {`NaN`, Syntax, 0, "expected a value"},
		"Infinity":                                {`-Infinity`, Syntax, 1, "expected a digit"},
		"a float beyond every double":             {`{"a":1e400}`, NumberRange, 5, "the number is too large for a double"},
		"a negative float beyond every double":    {`-1.8e308`, NumberRange, 0, "the number is too large for a double"},
		"a line feed in a string":                 {"\"a\nb\"", Syntax, 2, "a control character in a string must be escaped"},
		"a NUL in a string":                       {"\"\x00\"", Syntax, 1, "a control character in a string must be escaped"},
		"a NUL outside of strings":                {"\x00", Syntax, 0, "expected a value"},
		"a form feed as white space":              {"\f1", Syntax, 0, "expected a value"},
		"a no-break space as white space":         {"\u00a01", Syntax, 0, "expected a value"},
		"an unknown escape":                       {`"\x41"`, Syntax, 1, "no such escape"},
		"an escape of three digits":               {`"\u00e"`, Syntax, 1, `expected four hexadecimal digits after \u`},
		"an escape in upper case":                 {`"\U0041"`, Syntax, 1, "no such escape"},
		"bytes that are not UTF-8":                {"\"a\xff\"", InvalidUTF8, 2, "not valid UTF-8"},
		"an overlong slash":                       {"\"\xc0\xaf\"", InvalidUTF8, 1, "not valid UTF-8"},
		"a surrogate in UTF-8":                    {"\"\xed\xa0\x80\"", InvalidUTF8, 1, "not valid UTF-8"},
		"half a character":                        {"\"\xe2\x82\"", InvalidUTF8, 1, "not valid UTF-8"},
		"a character beyond Unicode":              {"\"\xf4\x90\x80\x80\"", InvalidUTF8, 1, "not valid UTF-8"},
		"bad UTF-8 in a name":                     {"{\"\xff\":1}", InvalidUTF8, 2, "not valid UTF-8"},
		"a high surrogate alone":                  {`"\ud83d"`, InvalidUTF8, 1, "half of a surrogate pair is no character"},
		"a high surrogate and a letter":           {`"\ud83d\u0041"`, InvalidUTF8, 1, "half of a surrogate pair is no character"},
		"a low surrogate alone":                   {`"\ude00"`, InvalidUTF8, 1, "half of a surrogate pair is no character"},
		"two high surrogates":                     {`"\ud83d\ud83d"`, InvalidUTF8, 1, "half of a surrogate pair is no character"},
		"a byte order mark":                       {"\ufeff{}", Syntax, 0, "a byte order mark is not allowed"},
		"UTF-16":                                  {"\xff\xfe{\x00", Syntax, 0, "expected a value"},
		"a member twice":                          {`{"a":1,"b":2,"a":1}`, DuplicateMember, 13, `member "a" appears twice`},
		"a member twice, once escaped":            {`{"a":1,"\u0061":2}`, DuplicateMember, 7, `member "a" appears twice`},
		"a member twice, in another spelling":     {`{"\/😀":1,"/\ud83d\uDE00":2}`, DuplicateMember, 12, `member "/😀" appears twice`},
		"a member twice, far inside":              {`[[{"x":{"":1,"":2}}]]`, DuplicateMember, 13, `member "" appears twice`},
		"a duplicate with control characters":     {`{"\u0000\n":1,"\u0000\n":2}`, DuplicateMember, 14, `member "\x00\n" appears twice`},
		"two values":                              {`1 2`, TrailingData, 2, "something follows the JSON text"},
		"two objects":                             {`{}{}`, TrailingData, 2, "something follows the JSON text"},
		"a closing brace too many":                {`{}}`, TrailingData, 2, "something follows the JSON text"},
		"a NUL after the text":                    {"{}\x00", TrailingData, 2, "something follows the JSON text"},
		"arrays deeper than allowed":              {deep(33), TooDeep, 32, "nested deeper than 32 levels"},
		"objects deeper than allowed":             {strings.Repeat(`{"a":`, 33), TooDeep, 160, "nested deeper than 32 levels"},
		"arrays ten thousand levels deep":         {deep(10_000), TooDeep, 32, "nested deeper than 32 levels"},
		"an array of arrays deeper than allowed":  {"[1,{},[]," + deep(32) + "]", TooDeep, 40, "nested deeper than 32 levels"},
		"a short way round: depth is not a count": {"[[],[],[" + deep(31) + "]]", TooDeep, 38, "nested deeper than 32 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Parse([]byte(row.text), usual)
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("taken as %s (%v)", v.Raw(), err)
			}
			want := fmt.Sprintf("invalid JSON at byte %d: %s", row.offset, row.detail)
			if got.Reason != row.reason || got.Offset != row.offset || got.Error() != want {
				t.Errorf("got  reason %d, %q\nwant reason %d, %q", got.Reason, got, row.reason, want)
			}
			if v.Raw() != nil {
				t.Errorf("an error came with the value %s", v.Raw())
			}
		})
	}
}

func TestDepthIsArraysAndObjects(t *testing.T) {
	for name, row := range map[string]struct {
		text     string
		maxDepth int
		want     bool
	}{
		"a scalar has depth 0":             {`1`, 0, true},
		"a string of brackets is a scalar": {`"[[{{"`, 0, true},
		"an empty array has depth 1":       {`[]`, 0, false},
		"an empty object has depth 1":      {`{}`, 0, false},
		"its elements add nothing":         {`[1,"a",null]`, 1, true},
		"what is inside does":              {`{"a":[]}`, 1, false},
		"as many levels as allowed":        {`{"a":[]}`, 2, true},
		"levels are given back":            {`[[],[],{"a":[]},[]]`, 3, true},
		"nobody goes below nothing":        {`[]`, -1, false},
	} {
		if _, err := Parse([]byte(row.text), Limits{row.maxDepth, 10}); (err == nil) != row.want {
			t.Errorf("%s: Parse(%s, %d): %v", name, row.text, row.maxDepth, err)
		}
	}
}

func TestNodesAreValuesAndNames(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		has  int
	}{
		"a scalar is one":                       {`1`, 1},
		"a literal is one":                      {`true`, 1},
		"a string is one, whatever is in it":    {`"[1,2,3]"`, 1},
		"an empty array is one":                 {`[]`, 1},
		"its elements count":                    {`[1,"a",null,2.5]`, 5},
		"a member counts twice":                 {`{"a":1}`, 3},
		"what is inside of what is inside does": {`{"a":[{"b":[]}]}`, 6},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(row.text), Limits{32, row.has}); err != nil {
				t.Errorf("%d nodes are refused: %v", row.has, err)
			}
			for most := -1; most < row.has; most++ {
				_, err := Parse([]byte(row.text), Limits{32, most})
				var got *Error
				if !errors.As(err, &got) || got.Reason != TooMany {
					t.Errorf("%d nodes, where %d are allowed: %v", row.has, most, err)
				}
			}
		})
	}
}

// What is over the limit is refused where it is met, and takes no memory: a text
// of 8 MiB would take sixteen times that, and as much again while it grows.
func TestNodesAreRefusedBeforeTheyTakeMemory(t *testing.T) {
	const nodes, most = 1000, 64 << 10 // a tape that is twice as long as it must be, and one it grew from
	text := []byte("[" + strings.Repeat("0,", 4<<20) + "0]")
	var err error
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Parse(text, Limits{32, nodes})
	runtime.ReadMemStats(&after)
	var got *Error
	if !errors.As(err, &got) || got.Reason != TooMany || got.Offset != 1+2*(nodes-1) {
		t.Errorf("got %v, want it refused at element %d", err, nodes)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%d bytes were taken, want %d at most", took, most)
	}
}

// A caller that allows any depth does not risk the process: 8 MiB of brackets
// would be more stack than Go gives.
func TestDepthHasALimitOfItsOwn(t *testing.T) {
	_, err := Parse([]byte(strings.Repeat("[", 8<<20)), Limits{1 << 30, 1 << 30})
	var got *Error
	if !errors.As(err, &got) || got.Reason != TooDeep || got.Offset != MaxDepth {
		t.Errorf("got %v", err)
	}
}

func TestTextsThatAreTooLong(t *testing.T) {
	_, err := Parse(make([]byte, MaxLen+1), usual)
	var got *Error
	if !errors.As(err, &got) || got.Reason != Syntax {
		t.Errorf("got %v", err)
	}
}

// The name of a duplicate may be a megabyte; the message is not, and it is
// still UTF-8.
func TestMessagesAreBounded(t *testing.T) {
	for _, letter := range []string{"x", "é", "€", "😀", `\u0001`} {
		name := strings.Repeat(letter, 1<<16)
		for _, pad := range []string{"", "a", "ab", "abc"} {
			_, err := Parse([]byte(`{"`+pad+name+`":1,"`+pad+name+`":2}`), usual)
			if err == nil || len(err.Error()) > 400 || !utf8.ValidString(err.Error()) {
				t.Errorf("name of %s%s…: %.500v", pad, letter, err)
			}
			if strings.ContainsRune(err.Error(), utf8.RuneError) || strings.Contains(err.Error(), `\xf0`) {
				t.Errorf("a character was cut: %v", err)
			}
		}
	}
}

// Sixteen times the text takes about sixteen times as long, whatever it is; if
// anything were quadratic it would be 256 times. A machine that is busy with
// something else gets three chances.
func TestHostileTextsCostNoMoreThanTheirLength(t *testing.T) {
	members := func(name func(i int) string) func(n int) string {
		return func(n int) string {
			var b strings.Builder
			for i := range 2_000 * n {
				fmt.Fprintf(&b, `,"%s":%d`, name(i), i)
			}
			return "{" + b.String()[1:] + "}"
		}
	}
	repeated := func(before, part, after string) func(n int) string {
		return func(n int) string { return before + strings.Repeat(part, n<<14) + after }
	}
	common := strings.Repeat("p", 80)
	for name, text := range map[string]func(n int) string{
		"members in order":            members(func(i int) string { return fmt.Sprintf("%06d", i) }),
		"members in opposite order":   members(func(i int) string { return fmt.Sprintf("%06d", 999_999-i) }),
		"members in no order":         members(func(i int) string { return fmt.Sprintf("%x", uint32(i)*2654435761) }),
		"members with a common start": members(func(i int) string { return fmt.Sprintf("%s%d", common, i) }),
		"members with escapes":        members(func(i int) string { return fmt.Sprintf(`\u0061%d`, i) }),
		"objects of two members":      repeated("[", `{"b":1,"a":2},`, "0]"),
		"elements":                    repeated("[", "1,", "1]"),
		"one string":                  repeated(`"`, "xx", `"`),
		"one string of escapes":       repeated(`"`, `\n`, `"`),
		"one integer":                 repeated("7", "77", ""),
		"one float":                   repeated("0.", "77", ""),
		"one exponent":                repeated("0e", "77", ""),
		"white space":                 repeated("", "  ", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			small, large := []byte(text(1)), []byte(text(16))
			for range 3 {
				if cost(t, large) < 64*cost(t, small) {
					return
				}
			}
			t.Errorf("%d bytes take %v, %d bytes take %v", len(small), cost(t, small), len(large), cost(t, large))
		})
	}
}

// cost is the time that Parse and AppendCanonical take, the best of three.
func cost(t *testing.T, text []byte) time.Duration {
	t.Helper()
	best := time.Hour
	for range 3 {
		start := time.Now()
		v, err := Parse(text, usual)
		if err != nil {
			t.Fatal(err)
		}
		if form := v.AppendCanonical(nil); len(form) > len(text) {
			t.Fatalf("%d bytes became %d", len(text), len(form))
		}
		best = min(best, time.Since(start))
	}
	return best
}

func TestOneOfManyMembersTwice(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `"%d":0,`, i)
	}
	_, err := Parse([]byte("{"+b.String()+`"500":1}`), usual)
	var got *Error
	if !errors.As(err, &got) || got.Reason != DuplicateMember || got.Offset != b.Len()+1 {
		t.Errorf("got %v", err)
	}
}
