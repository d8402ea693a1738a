package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// spec is openapi.json as a judge of answers. Its objects are closed: a member
// that is not described is wrong here, though the document lets clients expect
// new ones.
type spec struct {
	doc      any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

var theSpec = sync.OnceValue(func() *spec {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		panic(err)
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		panic(err)
	}
	return &spec{doc: doc, compiler: c, compiled: map[string]*jsonschema.Schema{}}
})

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, member := range v {
			closeObjects(member)
		}
	case []any:
		for _, item := range v {
			closeObjects(item)
		}
	}
}

// at follows names from what a JSON pointer points at, and references on the
// way. It returns what is there, and a pointer to it.
func (s *spec) at(pointer string, names ...string) (any, string) {
	v := s.doc
	for _, step := range strings.Split(pointer, "/")[1:] {
		v = v.(map[string]any)[unescape.Replace(step)]
	}
	for i, name := range names {
		m, _ := v.(map[string]any)
		v, pointer = m[name], pointer+"/"+escapePointer(name)
		if m, ok := v.(map[string]any); ok && m["$ref"] != nil {
			return s.at(strings.TrimPrefix(m["$ref"].(string), "#"), names[i+1:]...)
		}
	}
	return v, pointer
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// validate holds a JSON text against the schema at a pointer.
func (s *spec) validate(pointer string, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	schema, ok := s.compiled[pointer]
	if !ok {
		var err error
		if schema, err = s.compiler.Compile("openapi.json#" + pointer); err != nil {
			return err
		}
		s.compiled[pointer] = schema
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return schema.Validate(v)
}

// check holds an answer against the document.
func (s *spec) check(api *API, r *http.Request, res *http.Response, body []byte) error {
	if res.Header.Get("Request-Id") == "" {
		return fmt.Errorf("no Request-Id")
	}
	_, pattern := api.mux.Handler(r)
	method := strings.ToLower(r.Method)
	if method == "head" {
		method = "get"
	}
	path := strings.TrimSuffix(pattern, "{$}")
	operation, pointer := s.at("/paths", path, method)
	switch {
	case res.StatusCode == 204 && r.Method == http.MethodOptions, res.StatusCode == http.StatusTemporaryRedirect:
		return nil
	case operation == nil || !isClean(r.URL.EscapedPath()) || pattern == "/":
		return s.checkStray(r, res, body)
	}
	answer, pointer := s.at(pointer, "responses", strconv.Itoa(res.StatusCode))
	if answer == nil {
		return fmt.Errorf("%s %s has no answer %d", method, path, res.StatusCode)
	}
	if err := s.checkHeader(pointer, res.Header); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return nil
	}
	return s.checkBody(pointer, res.Header, body)
}

// checkStray checks an answer to a request that has no operation.
func (s *spec) checkStray(r *http.Request, res *http.Response, body []byte) error {
	if res.StatusCode != 404 && res.StatusCode != 405 && res.StatusCode != 500 {
		return fmt.Errorf("%s %s is not in the document and is answered %d", r.Method, r.URL.Path, res.StatusCode)
	}
	if (res.StatusCode == 405) != (res.Header.Get("Allow") != "") {
		return fmt.Errorf("Allow belongs to 405")
	}
	if r.Method == http.MethodHead {
		return nil
	}
	return s.validate("/components/schemas/Problem", body)
}

// unspoken are header lines that HTTP or a browser cares for and the document
// does not.
var unspoken = []string{"Content-Type", "Content-Length", "Content-Security-Policy", "X-Content-Type-Options", "Date", "Connection", "Vary"}

func (s *spec) checkHeader(pointer string, h http.Header) error {
	described, _ := s.at(pointer, "headers")
	lines, _ := described.(map[string]any)
	known := map[string]bool{}
	for name := range lines {
		name := name
		known[http.CanonicalHeaderKey(name)] = true
		line, at := s.at(pointer, "headers", name)
		value, required := h.Get(name), line.(map[string]any)["required"] == true
		if value == "" {
			if required {
				return fmt.Errorf("the header %s is missing", name)
			}
			continue
		}
		text, _ := json.Marshal(value)
		if kind, _ := s.at(at, "schema", "type"); kind == "integer" {
			text = []byte(value)
		}
		if err := s.validate(at+"/schema", text); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	for name := range h {
		if !known[name] && !slices.Contains(unspoken, name) {
			return fmt.Errorf("the header %s is not in the document", name)
		}
	}
	return nil
}

func (s *spec) checkBody(pointer string, h http.Header, body []byte) error {
	if content, _ := s.at(pointer, "content"); content == nil && len(body) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type: %w", err)
	}
	described, at := s.at(pointer, "content", media)
	if described == nil {
		return fmt.Errorf("the document has no %s here", media)
	}
	if strings.HasSuffix(media, "json") {
		return s.validate(at+"/schema", body)
	}
	return nil
}

// Every route that is registered is in the document, and the other way round.
func TestTheDocumentHasEveryRouteAndNoOther(t *testing.T) {
	registered := map[string]bool{}
	for _, rt := range newHouse(t, nil).routes {
		for _, e := range rt.endpoints {
			registered[e.method+" "+strings.TrimSuffix(rt.path, "{$}")] = true
		}
	}
	described := map[string]bool{}
	paths, _ := theSpec().at("", "paths")
	for path, item := range paths.(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for name := range registered {
		if !described[name] {
			t.Errorf("%s is served and not in the document", name)
		}
	}
	for name := range described {
		if !registered[name] {
			t.Errorf("%s is in the document and not served", name)
		}
	}
}

// Every operation that needs a key says so, and no other.
func TestTheDocumentSaysWhichOperationsNeedAKey(t *testing.T) {
	doc, err := readDocument(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	says := map[string]bool{}
	for _, p := range doc.Paths {
		for method, op := range map[string]*described{"GET": p.Value.Get, "PUT": p.Value.Put, "POST": p.Value.Post} {
			if op != nil {
				says[method+" "+p.Name] = slices.ContainsFunc(op.Parameters, func(p parameter) bool { return p.Name == "Idempotency-Key" && p.Required })
			}
		}
	}
	for _, rt := range newHouse(t, nil).routes {
		for _, e := range rt.endpoints {
			name := e.method + " " + strings.TrimSuffix(rt.path, "{$}")
			if says[name] != e.keyed {
				t.Errorf("%s needs a key: the document says %t, the code %t", name, says[name], e.keyed)
			}
		}
	}
}

// Every example in the document is valid by the document.
func TestTheExamplesAreTrue(t *testing.T) {
	s := theSpec()
	var walk func(v any, pointer string)
	examples := 0
	walk = func(v any, pointer string) {
		switch v := v.(type) {
		case map[string]any:
			if example, ok := v["example"]; ok && v["schema"] != nil {
				examples++
				text, err := json.Marshal(example)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.validate(pointer+"/schema", text); err != nil {
					t.Errorf("the example at %s: %v", pointer, err)
				}
			}
			for name, member := range v {
				if name != "example" {
					walk(member, pointer+"/"+escapePointer(name))
				}
			}
		case []any:
			for i, item := range v {
				walk(item, pointer+"/"+strconv.Itoa(i))
			}
		}
	}
	walk(s.doc, "")
	if examples < 50 {
		t.Errorf("only %d examples were found", examples)
	}
}

// The codes of the document are those of the table, and each is described in
// the answers that can carry it.
func TestTheDocumentHasEveryProblem(t *testing.T) {
	enum, _ := theSpec().at("", "components", "schemas", "Problem", "properties", "code", "enum")
	var described, known []string
	for _, c := range enum.([]any) {
		described = append(described, c.(string))
	}
	for _, p := range problems {
		known = append(known, string(p.Code))
		if p.Code != methodNotAllowed && !bytes.Contains(openAPI, []byte("`"+string(p.Code)+"`")) {
			t.Errorf("no answer of the document describes %s", p.Code)
		}
	}
	slices.Sort(described)
	slices.Sort(known)
	if !slices.Equal(described, known) {
		t.Errorf("the document has the codes %v, the table %v", described, known)
	}
}
