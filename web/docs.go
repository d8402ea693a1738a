package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/oncepay/oncepay/once"
)

//go:embed pages
var pageFiles embed.FS

// pages are the pages for people, rendered once: nothing in them depends on a
// request.
type pages struct {
	home, reference, problems []byte
	problem                   map[string][]byte // by code
}

// chapter is a part of the reference.
type chapter struct {
	Name, Description string
	Operations        []entry
}

// entry is an operation in the reference.
type entry struct {
	Method, Path string
	*described
}

func renderPages(version string) (*pages, error) {
	doc, err := readDocument(openAPI)
	if err != nil {
		return nil, err
	}
	r := renderer{version: version}
	if r.templates, err = template.New("").Funcs(pageFuncs).ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("web: pages: %w", err)
	}
	p := &pages{
		home:      r.page("home.html", "oncepay", nil),
		reference: r.page("reference.html", "API reference", map[string]any{"Doc": doc, "Chapters": doc.chapters()}),
		problems:  r.page("problems.html", "Problems", problems),
		problem:   map[string][]byte{},
	}
	for _, one := range problems {
		p.problem[string(one.Code)] = r.page("problem.html", one.Title, one)
	}
	return p, r.err
}

// renderer renders until the first error.
type renderer struct {
	templates *template.Template
	version   string
	err       error
}

func (r *renderer) page(name, title string, content any) []byte {
	var b bytes.Buffer
	if r.err == nil {
		r.err = r.templates.ExecuteTemplate(&b, name, map[string]any{"Title": title, "Version": r.version, "Content": content})
	}
	return b.Bytes()
}

// chapters sorts the operations by their tags, in the order of the document.
func (d *document) chapters() []chapter {
	var chapters []chapter
	for _, tag := range d.Tags {
		c := chapter{Name: tag.Name, Description: tag.Description}
		for _, p := range d.Paths {
			for _, e := range []entry{{"POST", p.Name, p.Value.Post}, {"GET", p.Name, p.Value.Get}, {"PUT", p.Name, p.Value.Put}} {
				if e.described != nil && slices.Contains(e.Tags, tag.Name) {
					c.Operations = append(c.Operations, e)
				}
			}
		}
		chapters = append(chapters, c)
	}
	return chapters
}

var pageFuncs = template.FuncMap{
	"prose":    prose,
	"pretty":   pretty,
	"typeOf":   typeOf,
	"lastStep": lastStep,
	"has":      func(list []string, s string) bool { return slices.Contains(list, s) },
}

// prose makes code of what stands between backticks.
func prose(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) // every part of it was escaped
}

func pretty(j json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, j, "", "  ") != nil {
		return string(j)
	}
	return b.String()
}

// typeOf says in a word what a schema is.
func typeOf(s schema) string {
	var one string
	var several []string
	switch {
	case s.Ref != "":
		return lastStep(s.Ref)
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " | ")
	case json.Unmarshal(s.Type, &one) == nil && one == "array" && s.Items != nil:
		return "array of " + typeOf(*s.Items)
	case one != "":
		return one
	case json.Unmarshal(s.Type, &several) == nil:
		return strings.Join(several, " or ")
	}
	for _, alternative := range s.AnyOf {
		several = append(several, typeOf(alternative))
	}
	return strings.Join(several, " or ")
}

func (x *exchange) showHome()      { x.page(x.api.pages.home) }
func (x *exchange) showReference() { x.page(x.api.pages.reference) }
func (x *exchange) showProblems()  { x.page(x.api.pages.problems) }

// showProblem is GET /docs/problems/{code}, where a problem's type leads.
func (x *exchange) showProblem() {
	page, ok := x.api.pages.problem[x.r.PathValue("code")]
	if !ok {
		x.refuse(notFound, "There is no such problem; /docs/problems/ lists all.")
		return
	}
	x.page(page)
}

// page sends a page that needs nothing but itself: no script, nothing from
// elsewhere.
func (x *exchange) page(html []byte) {
	x.set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	x.set("X-Content-Type-Options", "nosniff")
	x.send(once.Answer{Status: 200, Header: htmlHeader, Body: html})
}

var htmlHeader = []once.Field{{Name: "Content-Type", Value: "text/html; charset=utf-8"}}
