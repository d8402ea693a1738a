package httponce

import (
	"strconv"
	"strings"

	"github.com/oncepay/oncepay/internal/jcs"
)

// find returns the value that a JSON Pointer (RFC 6901) points to.
func find(v jcs.Value, pointer string) (found jcs.Value, there bool) {
	if pointer == "" {
		return v, true
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if v, there = child(v, unescape.Replace(token)); !there {
			return v, false
		}
	}
	return v, true
}

// unescape reads a token of a pointer. It reads each character once, so that ~01 is
// ~1 and no slash.
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func child(v jcs.Value, token string) (jcs.Value, bool) {
	switch v.Kind() {
	case jcs.Object:
		return v.Member(token)
	case jcs.Array:
		i, err := strconv.Atoi(token)
		if err != nil || i < 0 || i >= v.Len() || strconv.Itoa(i) != token {
			return jcs.Value{}, false
		}
		return v.Index(i), true
	}
	return jcs.Value{}, false
}
