package id

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The valid ids of TypeID 0.3, github.com/jetify-com/typeid, spec/valid.yml of
// 2024-04-10.
func TestTypeIDsPublishedAsValid(t *testing.T) {
	for name, v := range map[string]struct{ typeid, uuid string }{
		"nil":               {"00000000000000000000000000", "00000000-0000-0000-0000-000000000000"},
		"one":               {"00000000000000000000000001", "00000000-0000-0000-0000-000000000001"},
		"ten":               {"0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"},
		"sixteen":           {"0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"},
		"thirty-two":        {"00000000000000000000000010", "00000000-0000-0000-0000-000000000020"},
		"max-valid":         {"7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"valid-alphabet":    {"prefix_0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"},
		"valid-uuidv7":      {"prefix_01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"},
		"prefix-underscore": {"pre_fix_00000000000000000000000000", "00000000-0000-0000-0000-000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			cut := len(v.typeid) - suffixLen
			if !isPrefix(v.typeid[:cut]) {
				t.Errorf("prefix %q is refused", v.typeid[:cut])
			}
			wantHi, wantLo := uuidBits(t, v.uuid)
			hi, lo, ok := decodeBase32(v.typeid[cut:], lowerCase)
			if hi != wantHi || lo != wantLo || !ok {
				t.Errorf("decoded to %x %x, %t; want %s", hi, lo, ok, v.uuid)
			}
			if got := string(appendBase32(nil, wantHi, wantLo)); got != v.typeid[cut:] {
				t.Errorf("encoded to %s, want %s", got, v.typeid[cut:])
			}
			if _, ok := Time(v.typeid); ok != (name == "valid-uuidv7") {
				t.Errorf("taken as an id: %t; only a UUIDv7 is one", ok)
			}
		})
	}
}

// The invalid ids of TypeID 0.3, github.com/jetify-com/typeid, spec/invalid.yml
// of 2024-04-10.
func TestTypeIDsPublishedAsInvalid(t *testing.T) {
	for name, typeid := range map[string]string{
		"prefix-uppercase":           "PREFIX_00000000000000000000000000",
		"prefix-numeric":             "12345_00000000000000000000000000",
		"prefix-period":              "pre.fix_00000000000000000000000000",
		"prefix-non-ascii":           "préfix_00000000000000000000000000",
		"prefix-spaces":              "  prefix_00000000000000000000000000",
		"prefix-64-chars":            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl_00000000000000000000000000",
		"separator-empty-prefix":     "_00000000000000000000000000",
		"separator-empty":            "_",
		"suffix-short":               "prefix_1234567890123456789012345",
		"suffix-long":                "prefix_123456789012345678901234567",
		"suffix-spaces":              "prefix_1234567890123456789012345 ",
		"suffix-uppercase":           "prefix_0123456789ABCDEFGHJKMNPQRS",
		"suffix-hyphens":             "prefix_123456789-123456789-123456",
		"suffix-wrong-alphabet":      "prefix_ooooooiiiiiiuuuuuuulllllll",
		"suffix-ambiguous-crockford": "prefix_i23456789ol23456789oi23456",
		"suffix-hyphens-crockford":   "prefix_123456789-0123456789-0123456",
		"suffix-overflow":            "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz",
		"prefix-underscore-start":    "_prefix_00000000000000000000000000",
		"prefix-underscore-end":      "prefix__00000000000000000000000000",
	} {
		t.Run(name, func(t *testing.T) {
			cut := max(0, len(typeid)-suffixLen)
			_, _, decodes := decodeBase32(typeid[cut:], lowerCase)
			if isPrefix(typeid[:cut]) && decodes {
				t.Errorf("%s is taken", typeid)
			}
		})
	}
}

// The example of RFC 9562, appendix A.6: Tuesday, February 22, 2022 2:22:22.00
// PM GMT-05:00.
func TestUUIDv7OfTheRFC(t *testing.T) {
	want := time.Date(2022, time.February, 22, 14, 22, 22, 0, time.FixedZone("GMT-5", -5*3600))
	for name, uuid := range map[string]string{
		"as it is printed there": "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"in lower case":          "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
	} {
		if got, ok := UUIDTime(uuid); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: got %v, %t; want %v in UTC", name, got, ok, want)
		}
	}
}

// The other versions of RFC 9562, appendix A and B, and broken forms of the
// example above.
func TestWhatIsNoUUIDv7(t *testing.T) {
	for name, s := range map[string]string{
		"version 1":                       "C232AB00-9414-11EC-B3C8-9F6BDECED846",
		"version 3":                       "5df41881-3aed-3515-88a7-2f4a814cf09e",
		"version 4":                       "919108f7-52d1-4320-9bac-f847db4148a8",
		"version 5":                       "2ed6657d-e927-568b-95e1-2665a8aea6a2",
		"version 6":                       "1EC9414C-232A-6B00-B3C8-9F6BDECED846",
		"version 8":                       "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",
		"the nil UUID":                    "00000000-0000-0000-0000-000000000000",
		"the max UUID":                    "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"the variant of NCS":              "017F22E2-79B0-7CC3-78C4-DC0C0C07398F",
		"the variant of Microsoft":        "017F22E2-79B0-7CC3-C8C4-DC0C0C07398F",
		"braces around it":                "{017F22E2-79B0-7CC3-98C4-DC0C0C07398F}",
		"a URN":                           "urn:uuid:017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"no hyphens":                      "017F22E279B07CC398C4DC0C0C07398F",
		"no first hyphen":                 "017F22E2079B0-7CC3-98C4-DC0C0C07398F",
		"no second hyphen":                "017F22E2-79B007CC3-98C4-DC0C0C07398F",
		"no third hyphen":                 "017F22E2-79B0-7CC3098C4-DC0C0C07398F",
		"no fourth hyphen":                "017F22E2-79B0-7CC3-98C40DC0C0C07398F",
		"a hyphen at the wrong place":     "017F22E-279B0-7CC3-98C4-DC0C0C07398F",
		"a hyphen where a digit belongs":  "017F22E2-79B0-7CC3-98C4-DC0C0C0739-F",
		"a letter that is no digit":       "017F22E2-79B0-7CC3-98C4-DC0C0C07398G",
		"white space before it":           " 17F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"one digit too few":               "017F22E2-79B0-7CC3-98C4-DC0C0C07398",
		"one digit too many":              "017F22E2-79B0-7CC3-98C4-DC0C0C07398F0",
		"characters outside of ASCII":     "017F22E2-79B0-7CC3-98C4-DC0C0C0739é",
		"nothing":                         "",
		"a character just before a digit": "017F22E2-79B0-7CC3-98C4-DC0C0C07398/",
	} {
		if got, ok := UUIDTime(s); ok || !got.IsZero() {
			t.Errorf("%s: %q has time %v", name, s, got)
		}
	}
}

// The ULIDs of the specification, github.com/ulid/spec, README.md. It gives the
// time of the largest; the others' are their first ten characters decoded by
// hand.
func TestULIDsOfTheSpecification(t *testing.T) {
	for ulid, millis := range map[string]int64{
		"7ZZZZZZZZZZZZZZZZZZZZZZZZZ": 281474976710655,
		"01ARZ3NDEKTSV4RRFFQ69G5FAV": 1469922850259,
		"01AN4Z07BY79KA1307SR9X4MV3": 1465824320894,
		"01BX5ZZKBKACTAV9WEVGEMMVRZ": 1508808576371,
		"00000000000000000000000000": 0,
	} {
		for _, s := range []string{ulid, strings.ToLower(ulid)} {
			if got, ok := ULIDTime(s); !ok || got.UnixMilli() != millis || got.Location() != time.UTC {
				t.Errorf("%s has time %d, %t; want %d in UTC", s, got.UnixMilli(), ok, millis)
			}
		}
	}
}

func TestWhatIsNoULID(t *testing.T) {
	for name, s := range map[string]string{
		"the first beyond 128 bits":     "80000000000000000000000000",
		"the last of 26 characters":     "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
		"an I":                          "01ARZ3NDEKTSV4RRFFQ69G5FAI",
		"an l":                          "01arz3ndektsv4rrffq69g5fal",
		"an O":                          "01ARZ3NDEKTSV4RRFFQ69G5FAO",
		"a U":                           "01ARZ3NDEKTSV4RRFFQ69G5FAU",
		"a hyphen":                      "01ARZ3NDEK-SV4RRFFQ69G5FAV",
		"one character too few":         "01ARZ3NDEKTSV4RRFFQ69G5FA",
		"one character too many":        "01ARZ3NDEKTSV4RRFFQ69G5FAV0",
		"characters outside of ASCII":   "01ARZ3NDEKTSV4RRFFQ69G5FÄ",
		"white space after it":          "01ARZ3NDEKTSV4RRFFQ69G5FA ",
		"nothing":                       "",
		"an id with a prefix of 4 more": "01h_01h455vb4pex5vsknk084sn02q",
	} {
		if got, ok := ULIDTime(s); ok || !got.IsZero() {
			t.Errorf("%s: %q has time %v", name, s, got)
		}
	}
}

// Every one of the 62 random bits is seen both set and clear, and nothing else
// but the tick ever changes.
func TestSixtyTwoBitsAreLuck(t *testing.T) {
	s := NewSource([32]byte{})
	ones, zeros := uint64(0), uint64(0)
	for range 1000 {
		_, lo, ok := parse(s.New("tr_", time.Unix(1, 0)))
		if !ok {
			t.Fatal("an id of ours does not parse")
		}
		ones |= lo
		zeros |= ^lo
	}
	if moved := ones & zeros; moved != 1<<62-1 {
		t.Errorf("bits that change: %064b", moved)
	}
}

func uuidBits(t *testing.T, uuid string) (hi, lo uint64) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}
