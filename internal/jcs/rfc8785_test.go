package jcs

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// The examples that RFC 8785 prints, and two of the test files that its
// appendix F points to: github.com/cyberphone/json-canonicalization, testdata.
func TestExamplesOfRFC8785(t *testing.T) {
	for name, row := range map[string]struct{ in, want string }{
		"sections 3.2.2 and 3.2.3, the sample": {
			`{
  "numbers": [333333333.33333329, 1E30, 4.50,
              2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}`,
			`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		},
		"testdata/input/structures.json": {
			`{
  "1": {"f": {"f": "hi","F": 5} ,"\n": 56.0},
  "10": { },
  "": "empty",
  "a": { },
  "111": [ { } ],
  "A": { }
}`,
			`{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}`,
		},
		"testdata/input/weird.json": {
			`{
  "\u20ac": "Euro Sign",
  "1": "One",
  "\u0080": "Control\u007f",
  "\ud83d\ude02": "Smiley",
  "\u00f6": "Latin Small Letter O With Diaeresis",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "</script>": "Browser Challenge"
}`,
			"{\"1\":\"One\",\"</script>\":\"Browser Challenge\",\"\u0080\":\"Control\u007f\"," +
				"\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😂\":\"Smiley\"," +
				"\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := canonical(t, row.in); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// RFC 8785, section 3.2.3: what the values say is the order they must be in.
func TestSortingExampleOfRFC8785(t *testing.T) {
	v, err := Parse([]byte(canonical(t, `{
  "\u20ac": "Euro Sign",
  "\r": "Carriage Return",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "1": "One",
  "\ud83d\ude00": "Emoji: Grinning Face",
  "\u0080": "Control",
  "\u00f6": "Latin Small Letter O With Diaeresis"
}`)), usual)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, member := range v.Members() {
		text, _ := member.Text()
		got = append(got, text)
	}
	want := []string{
		"Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis",
		"Euro Sign", "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// RFC 8785, appendix B, without its two rows that are no numbers.
func TestNumbersOfRFC8785(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0",
		0x8000000000000000: "0",
		0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000",
		0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332",
		0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333",
		0x41b3de4355555556: "333333333.3333334",
		0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		if got := string(appendFloat(nil, math.Float64frombits(bits))); got != want {
			t.Errorf("%016x: got %s, want %s", bits, got, want)
		}
	}
}

// Where this package leaves RFC 8785, and where it must not.
func TestNumbersAreCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"0":                      "0",
		"-0":                     "0",
		"-0.0":                   "0",
		"-0e9":                   "0",
		"100":                    "100",
		"1e2":                    "100",
		"1.00E+002":              "100",
		"-12.50":                 "-12.5",
		"9007199254740993":       "9007199254740993", // an integer keeps its digits
		"9007199254740993.0":     "9007199254740992", // a float has those of a double
		"-9223372036854775809":   "-9223372036854775809",
		"1000000000000000000000": "1000000000000000000000",
		"1e21":                   "1e+21",
		"1e-6":                   "0.000001",
		"1e-7":                   "1e-7",
		"1e-10":                  "1e-10",
		"1e-400":                 "0", // too small is nothing, as in ECMAScript
		"1.7976931348623157e308": "1.7976931348623157e+308",
		strings.Repeat("9", 400): strings.Repeat("9", 400),
	} {
		if got := canonical(t, in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func canonical(t testing.TB, text string) string {
	t.Helper()
	v, err := Parse([]byte(text), usual)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return string(v.AppendCanonical(nil))
}
