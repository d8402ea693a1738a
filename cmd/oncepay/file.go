package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

const (
	configFlag = "config" // names the file, and so cannot stand in it
	configEnv  = envPrefix + "CONFIG"
)

// path is the configuration file's, or empty if none was named. There is no
// place that is looked in unasked: what a server runs with should not depend
// on where it was started.
func (s settings) path() (string, error) {
	path, named, source := *s.file, s.flags.Changed(configFlag), "--"+configFlag
	for _, entry := range s.env {
		if value, ok := strings.CutPrefix(entry, configEnv+"="); ok && !named {
			path, named, source = value, true, configEnv
		}
	}
	if named && path == "" {
		return "", fmt.Errorf("%s is empty: name a file or leave it out", source)
	}
	return path, nil
}

// nesting is what koanf joins the names of nested members with. With a dot,
// `window.length:` and `window: {length: }` would be one member, and which of
// the two values it has would be luck.
const nesting = "\x00"

// fileLayer reads the YAML file at path; if that is empty, so is the layer.
func fileLayer(path string) (layer, error) {
	l := layer{map[string]string{}, func(key) string { return "file " + path }}
	if path == "" {
		return l, nil
	}
	k := koanf.New(nesting)
	if err := k.Load(file.Provider(path), oneDocument{yaml.Parser()}); err != nil {
		return l, fmt.Errorf("file %s: %w", path, withoutPath(err))
	}
	var wrong []error
	for _, member := range k.Keys() {
		wrong = append(wrong, l.add(path, member, k.Get(member)))
	}
	return l, errors.Join(wrong...)
}

// oneDocument refuses a file with more than one YAML document: only the first
// would be read.
type oneDocument struct{ koanf.Parser }

func (p oneDocument) Unmarshal(text []byte) (map[string]any, error) {
	documents := yamlv3.NewDecoder(bytes.NewReader(text))
	for n := 0; ; n++ {
		var any yamlv3.Node
		switch err := documents.Decode(&any); {
		case errors.Is(err, io.EOF):
			return p.Parser.Unmarshal(text)
		case err != nil:
			return nil, err
		case n > 0:
			return nil, errors.New("it has more than one document, and only the first would be read: put all settings into one")
		}
	}
}

// withoutPath is err without the path that it would name a second time.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// add takes one member of the file at path into the layer.
func (l layer) add(path, member string, value any) error {
	name := strings.ReplaceAll(member, nesting, ".")
	k, known := findKey(func(k key) bool { return k.name == name })
	switch {
	case strings.Contains(member, "."):
		return fmt.Errorf("%s in file %s: a member's name has no dot; nest it in its section", name, path)
	case !known:
		return checkSection(path, name, value)
	}
	text, ok := scalar(value)
	if list, isList := value.([]any); isList && k.list {
		text, ok = joined(list)
	}
	if !ok {
		return k.wrong(written(value), l.source(k))
	}
	l.values[name] = text
	return nil
}

// written is a value that cannot be one, for the complaint about it.
func written(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// checkSection says what is wrong with a member that is no key. A section with
// nothing in it is right: its members may all be commented out.
func checkSection(path, name string, value any) error {
	_, isSection := findKey(func(k key) bool { return strings.HasPrefix(k.name, name+".") })
	_, isMap := value.(map[string]any)
	switch {
	case isSection && (value == nil || isMap):
		return nil
	case isSection:
		return fmt.Errorf("%s in file %s is a section: its values stand below it, each on an indented line", name, path)
	}
	return fmt.Errorf("%s in file %s is no setting%s", name, path, meant("", name, func(k key) string { return k.name }))
}

// scalar is a value of YAML as it would be typed elsewhere. Nothing (`addr:`)
// is not a value.
func scalar(value any) (string, bool) {
	switch value.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(value), true
	}
	return "", false
}

// joined is a list as it would be typed elsewhere.
func joined(list []any) (string, bool) {
	var texts []string
	for _, element := range list {
		text, ok := scalar(element)
		if !ok || strings.Contains(text, ",") {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), true
}
