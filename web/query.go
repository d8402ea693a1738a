package web

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
)

// query reads the parameters of a GET, strictly, and collects what is wrong: a
// parameter that is misspelt should not be ignored.
type query struct {
	values url.Values
	issues []issue
}

// paging are the parameters of every list.
var paging = []string{"limit", "cursor", "created_after", "created_before"}

// query reads the request's parameters, of which there may be these.
func (x *exchange) query(names ...string) *query {
	q := &query{}
	var err error
	if q.values, err = url.ParseQuery(x.r.URL.RawQuery); err != nil {
		q.fail("", "The query is not well-formed: write it as name=value&name=value, and other characters as %%XX.")
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		switch values := q.values[name]; {
		case !slices.Contains(names, name):
			q.fail(name, "There is no such parameter here.")
		case len(values) > 1:
			q.fail(name, "This parameter is given more than once.")
		case values[0] == "":
			q.fail(name, "This parameter is empty; leave it out.")
		case !utf8.ValidString(values[0]):
			q.fail(name, "This parameter is not UTF-8.")
		}
	}
	return q
}

func (q *query) fail(parameter, format string, args ...any) {
	if len(q.issues) < maxIssues {
		q.issues = append(q.issues, issue{parameter: parameter, detail: fmt.Sprintf(format, args...)})
	}
}

func (q *query) get(name string) string { return q.values.Get(name) }

// moment reads a time; the zero time is none.
func (q *query) moment(name string) time.Time {
	s := q.get(name)
	if s == "" {
		return time.Time{}
	}
	t, ok := parseTime(s)
	if !ok {
		q.fail(name, "%s A + in a query is written %%2B.", wantTime)
	}
	return t
}

// boolean reads true or false; nil is neither.
func (q *query) boolean(name string) *bool {
	switch q.get(name) {
	case "true":
		return new(true)
	case "false":
		return new(false)
	case "":
	default:
		q.fail(name, "This must be true or false.")
	}
	return nil
}

// page reads the parameters of a list.
func (q *query) page() engine.Page {
	p := engine.Page{Limit: DefaultLimit, Cursor: q.get("cursor"), After: q.moment("created_after"), Before: q.moment("created_before")}
	if s := q.get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxLimit {
			q.fail("limit", "A limit is a number from 1 to %d.", MaxLimit)
		}
		p.Limit = n
	}
	return p
}

// mistaken answers if anything was wrong with the parameters.
func (x *exchange) mistaken(q *query) bool {
	if len(q.issues) > 0 {
		x.invalid(q.issues)
	}
	return len(q.issues) > 0
}

// hasQuery refuses a query on a request that has a body: what was meant for the
// body would be lost in it.
func (x *exchange) hasQuery() bool {
	return x.r.URL.RawQuery != "" && x.mistaken(x.query())
}

// answerList sends a page of a list, or why there is none.
func answerList[T any](x *exchange, list engine.List[T], err error, item func([]byte, T) []byte) {
	switch {
	case errors.Is(err, engine.ErrBadCursor):
		x.invalid([]issue{{parameter: "cursor", detail: "This cursor is not of this list; take next_cursor from the page before, with the same filter."}})
		return
	case err != nil:
		x.failed("read a list", err)
		return
	}
	b := append(make([]byte, 0, 512*(1+len(list.Items))), `{"data":[`...)
	for i, it := range list.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, it)
	}
	b = append(b, `],"next_cursor":`...)
	if list.Next == "" {
		b = append(b, "null"...)
	} else {
		b = jcs.AppendString(b, list.Next)
	}
	x.json(append(b, '}'))
}
