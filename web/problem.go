package web

import (
	"strconv"

	"github.com/oncepay/oncepay/internal/card"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// issue is one mistake in a request: in the body, or in a query parameter.
type issue struct {
	pointer   string // JSON pointer (RFC 6901) into the body
	parameter string // name of the query parameter, if it is one
	detail    string // says what to do
}

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// appendJSON appends the problem as RFC 9457 has it. Whatever a client sent that
// looks like a card's number is masked here, so that no problem repeats it.
func (p *problem) appendJSON(b []byte, requestID, detail string, issues []issue) []byte {
	b = append(append(append(b, `{"type":"/docs/problems/`...), p.Code...), `","title":`...)
	b = jcs.AppendString(b, p.Title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(p.Status), 10)
	b = jcs.AppendString(append(b, `,"detail":`...), card.Mask(detail))
	b = append(append(append(b, `,"code":"`...), p.Code...), `","request_id":"`...)
	b = append(append(append(b, requestID...), `","retryable":`...), strconv.FormatBool(p.Retryable)...)
	b = append(append(b, `,"same_key":`...), strconv.FormatBool(p.SameKey)...)
	if len(issues) > 0 {
		b = appendIssues(append(b, `,"errors":`...), issues)
	}
	return append(b, '}')
}

func appendIssues(b []byte, issues []issue) []byte {
	b = append(b, '[')
	for i, is := range issues {
		if i > 0 {
			b = append(b, ',')
		}
		b = jcs.AppendString(append(b, `{"pointer":`...), card.Mask(is.pointer))
		if is.parameter != "" {
			b = jcs.AppendString(append(b, `,"parameter":`...), card.Mask(is.parameter))
		}
		b = jcs.AppendString(append(b, `,"detail":`...), card.Mask(is.detail))
		b = append(b, '}')
	}
	return append(b, ']')
}

// answer is the problem as an answer. Retry-After is the only header line that
// depends on it.
func (p *problem) answer(requestID, detail string, issues []issue) once.Answer {
	a := once.Answer{Status: p.Status, Header: problemHeader, Body: p.appendJSON(nil, requestID, detail, issues)}
	if after := p.retryAfter(); after != "" {
		a.Header = []once.Field{problemHeader[0], {Name: "Retry-After", Value: after}}
	}
	return a
}

// The header of answers that have nothing but a Content-Type. Answers share
// them, nobody changes them.
var (
	jsonHeader    = []once.Field{{Name: "Content-Type", Value: typeJSON}}
	problemHeader = []once.Field{{Name: "Content-Type", Value: typeProblem}}
)

// summary is the detail of a problem with issues: the mistake itself, if there
// is one only.
func summary(issues []issue) string {
	switch n := len(issues); n {
	case 0:
		return invalid.find().Title + "."
	case 1:
		return issues[0].detail
	default:
		return strconv.Itoa(n) + " things are wrong with the request; errors lists them."
	}
}
