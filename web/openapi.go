package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// openAPI is the document, kept by hand. Tests hold it against the routes and
// against every answer that they get.
//
//go:embed openapi.json
var openAPI []byte

// showOpenAPI is GET /openapi.json.
func (x *exchange) showOpenAPI() {
	x.send(once.Answer{Status: 200, Header: jsonHeader, Body: openAPI})
}

// document is what the reference page shows of the document.
type document struct {
	Info struct {
		Title       string `json:"title"`
		Summary     string `json:"summary"`
		Description string `json:"description"`
	} `json:"info"`
	Tags []struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"tags"`
	Paths      ordered[pathItem] `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
		Responses  map[string]response  `json:"responses"`
		Schemas    ordered[schema]      `json:"schemas"`
	} `json:"components"`
}

type pathItem struct {
	Parameters []parameter `json:"parameters"`
	Get        *described  `json:"get"`
	Put        *described  `json:"put"`
	Post       *described  `json:"post"`
}

// described is an operation as the document describes it.
type described struct {
	ID          string      `json:"operationId"`
	Tags        []string    `json:"tags"`
	Summary     string      `json:"summary"`
	Description string      `json:"description"`
	Security    *[]struct{} `json:"security"` // empty: needs no API key
	Parameters  []parameter `json:"parameters"`
	Body        *struct {
		Description string           `json:"description"`
		Content     ordered[content] `json:"content"`
	} `json:"requestBody"`
	Responses ordered[response] `json:"responses"`
}

type parameter struct {
	Ref         string          `json:"$ref"`
	Name        string          `json:"name"`
	In          string          `json:"in"`
	Required    bool            `json:"required"`
	Description string          `json:"description"`
	Example     json.RawMessage `json:"example"`
}

type response struct {
	Ref         string           `json:"$ref"`
	Description string           `json:"description"`
	Content     ordered[content] `json:"content"`
}

type content struct {
	Schema  schema          `json:"schema"`
	Example json.RawMessage `json:"example"`
}

type schema struct {
	Ref         string          `json:"$ref"`
	Type        json.RawMessage `json:"type"`
	Description string          `json:"description"`
	Enum        []string        `json:"enum"`
	Required    []string        `json:"required"`
	Properties  ordered[schema] `json:"properties"`
	Items       *schema         `json:"items"`
	AnyOf       []schema        `json:"anyOf"`
}

// ordered is a JSON object whose members keep the order in which they were
// written.
type ordered[T any] []named[T]

type named[T any] struct {
	Name  string
	Value T
}

// UnmarshalJSON reads the members one by one.
func (o *ordered[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		var n named[T]
		name, err := d.Token()
		if err != nil {
			return err
		}
		n.Name = fmt.Sprint(name)
		if err := d.Decode(&n.Value); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		*o = append(*o, n)
	}
	return nil
}

// readDocument reads the document and puts in the parameters and responses that
// it refers to.
func readDocument(src []byte) (*document, error) {
	var d document
	if err := json.Unmarshal(src, &d); err != nil {
		return nil, fmt.Errorf("web: openapi.json: %w", err)
	}
	for i := range d.Paths {
		item := &d.Paths[i].Value
		for _, op := range []*described{item.Get, item.Put, item.Post} {
			if op != nil {
				op.Parameters = d.resolve(append(item.Parameters[:len(item.Parameters):len(item.Parameters)], op.Parameters...))
				for j, r := range op.Responses {
					if r.Value.Ref != "" {
						op.Responses[j].Value = d.Components.Responses[lastStep(r.Value.Ref)]
					}
				}
			}
		}
	}
	return &d, nil
}

func (d *document) resolve(ps []parameter) []parameter {
	for i, p := range ps {
		if p.Ref != "" {
			ps[i] = d.Components.Parameters[lastStep(p.Ref)]
		}
	}
	return ps
}

// lastStep is the name at the end of a reference.
func lastStep(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
