package main

import (
	"fmt"
	"strings"
)

// didYouMean is the end of a complaint about name: the known one that was
// probably meant, or nothing if none is close. Known names are shown with
// prefix before them.
func didYouMean(prefix, name string, known []string) string {
	if best, ok := nearest(name, known); ok {
		return fmt.Sprintf("; did you mean %s%s?", prefix, best)
	}
	return ""
}

// nearest is the known name that name was probably meant to be: one that ends
// in it (retry_horizon for window.retry_horizon), else the one that is the
// fewest typing mistakes away, if they are few.
func nearest(name string, known []string) (string, bool) {
	for _, k := range known {
		if rest, ok := strings.CutSuffix(k, name); ok && strings.ContainsAny(lastByte(rest), ".-_") {
			return k, true
		}
	}
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

func lastByte(s string) string { return s[max(0, len(s)-1):] }

// distance is the number of characters to add, drop or change to get from a to
// b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
