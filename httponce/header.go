package httponce

import (
	"iter"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// lines are a header as it was at some time, without trailers and without what is
// never sent. It is what [http.Header.Clone] is for, in a form that can be kept.
type lines struct {
	fields []once.Field // by name, and in their order
	silent []string     // names without a line: net/http is not to make one
}

func linesOf(h http.Header) (l lines) {
	var buf [16]string
	names, n := buf[:0], 0
	for name, values := range h {
		if !isToken(name) { // trailers, for example
			continue
		}
		if names, n = append(names, name), n+len(values); len(values) == 0 {
			l.silent = append(l.silent, name)
		}
	}
	slices.Sort(names)
	l.fields = make([]once.Field, 0, n)
	for _, name := range names {
		for _, v := range h[name] {
			l.fields = append(l.fields, once.Field{Name: name, Value: oneLine.Replace(v)})
		}
	}
	return l
}

// oneLine is what net/http makes of line ends in a value.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// groups are the lines of each name.
func (l *lines) groups() iter.Seq2[string, []once.Field] {
	return func(yield func(string, []once.Field) bool) {
		for from := 0; from < len(l.fields); {
			name, to := l.fields[from].Name, from+1
			for to < len(l.fields) && l.fields[to].Name == name {
				to++
			}
			if !yield(name, l.fields[from:to]) {
				return
			}
			from = to
		}
	}
}

// of are the values of a name, and whether there is one: also if it is silent.
func (l *lines) of(name string) (values []string, found bool) {
	for _, f := range l.fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values, len(values) > 0 || slices.Contains(l.silent, name)
}

// add adds a line of a name that has none.
func (l *lines) add(name, value string) {
	at, _ := slices.BinarySearchFunc(l.fields, name, func(f once.Field, name string) int { return strings.Compare(f.Name, name) })
	l.fields = slices.Insert(l.fields, at, once.Field{Name: name, Value: value})
}

// put makes h what it was, but for trailers.
func (l *lines) put(h http.Header) {
	if l.is(h) { // nearly always
		return
	}
	for name := range h {
		if !strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	for _, name := range l.silent {
		h[name] = nil
	}
	setLines(h, l)
}

// setLines sets the lines in h.
func setLines(h http.Header, l *lines) {
	values, n := make([]string, len(l.fields)), 0
	for name, group := range l.groups() {
		from := n
		for _, f := range group {
			values[n] = f.Value
			n++
		}
		h[name] = values[from:n:n]
	}
}

// is says whether h is what it was.
func (l *lines) is(h http.Header) bool {
	names := len(l.silent)
	for name, group := range l.groups() {
		names++
		if !slices.EqualFunc(h[name], group, func(v string, f once.Field) bool { return v == f.Value }) {
			return false
		}
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			names++
		}
	}
	return names == len(h) && !slices.ContainsFunc(l.silent, func(name string) bool { return len(h[name]) > 0 })
}

// elements are those of lists, of which there may be several lines.
func elements(lists []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, list := range lists {
			for element := range strings.SplitSeq(list, ",") {
				if element = textproto.TrimString(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// listed says whether lists have a name.
func listed(lists []string, name string) bool {
	for element := range elements(lists) {
		if strings.EqualFold(element, name) {
			return true
		}
	}
	return false
}

// isToken says whether a name can be a header's (RFC 9110, section 5.6.2): others
// are not sent.
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'; !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}
