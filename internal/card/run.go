package card

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// digitRun is digits with little between two of them, as they come up in a text.
type digitRun struct {
	digits []byte
	at     []span // where in the text each digit is
	groups []int  // where in digits a group begins
	marks  []rune // what kind of separator stands before each group
	gap    rune   // that which came behind the last digit; 0: none
	apart  int    // how many characters it has
}

func (n *digitRun) clear() {
	*n = digitRun{digits: n.digits[:0], at: n.at[:0], groups: n.groups[:0], marks: n.marks[:0]}
}

// mostApart is how many characters may stand between two groups of one number: a
// dash between two spaces, and one more.
const mostApart = 4

// add takes what continues the run, and reports whether r does.
func (n *digitRun) add(at int, r rune) bool {
	if d, ok := digitOf(r); ok {
		if n.apart > 0 || len(n.digits) == 0 {
			n.groups, n.marks = append(n.groups, len(n.digits)), append(n.marks, n.gap)
		}
		n.digits, n.at = append(n.digits, d), append(n.at, span{at, at + utf8.RuneLen(r)})
		n.gap, n.apart = 0, 0
		return true
	}
	mark := separator(r)
	switch {
	case len(n.digits) == 0:
		return false
	case isUnseen(r):
		return true
	case mark == 0 || n.apart == mostApart:
		return false
	case n.gap == 0 || n.gap == ' ':
		n.gap = mark
	}
	n.apart++
	return true
}

// digitOf is the ASCII digit of the same value as a decimal digit of any script.
// Unicode has them in rows of ten, from nought to nine.
func digitOf(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), r >= '0' && r <= '9'
	}
	for _, row := range unicode.Nd.R16 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return '0' + byte((r-rune(row.Lo))%10), true
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return '0' + byte((r-rune(row.Lo))%10), true
		}
	}
	return 0, false
}

// separator is what kind of separator a character is, by one that stands for
// all of the kind; 0 if it is none. A line break is none: numbers below each
// other are a table.
func separator(r rune) rune {
	switch {
	case strings.ContainsRune("\n\v\f\r\u0085\u2028\u2029", r):
		return 0
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212':
		return '-'
	case unicode.Is(unicode.Pc, r):
		return '_'
	case strings.ContainsRune(".\u00b7\u2022\u2024\uff0e", r):
		return '.'
	case strings.ContainsRune("/\\\u2044\u2215\uff0f", r):
		return '/'
	}
	return 0
}

// isUnseen says whether a character takes no room of its own.
func isUnseen(r rune) bool {
	return r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point)
}

// appendCards looks at every row of whole groups: a card's number may stand next
// to another number.
func (n *digitRun) appendCards(cards []span) []span {
	if len(n.digits) < minCard {
		return cards
	}
	ends := append(n.groups[1:len(n.groups):len(n.groups)], len(n.digits))
	for i := 0; i < len(n.groups); i++ {
		if last := n.cardFrom(i, ends); last >= 0 {
			cards = append(cards, span{n.at[n.groups[i]].from, n.at[ends[last]-1].to})
			i = last
		}
	}
	return cards
}

// cardFrom returns the last group of the longest card's number that begins with
// a group, or -1.
func (n *digitRun) cardFrom(group int, ends []int) int {
	found, first := -1, n.groups[group]
	for last := group; last < len(ends) && ends[last]-first <= maxCard; last++ {
		if one := n.digits[first:ends[last]]; isIssued(string(one)) && hasCheckDigit(one) && n.areOne(group, last) {
			found = last
		}
	}
	return found
}

// areOne says whether groups are likely to be one number: they have the same
// between them, or are of four digits each, as on a card, or of 4, 6 and the
// rest. Dates and telephones' numbers in a row are not.
func (n *digitRun) areOne(first, last int) bool {
	same, fours := true, true
	for i := first + 1; i <= last; i++ {
		same = same && n.marks[i] == n.marks[first+1]
		fours = fours && n.groups[i]-n.groups[i-1] == 4
	}
	amex := last-first == 2 && n.groups[first+1]-n.groups[first] == 4 && n.groups[last]-n.groups[first+1] == 6
	return same || fours || amex
}
