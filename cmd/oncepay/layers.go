package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// layer is one place that values come from. Layers are kept apart and not
// merged, since a merged value does not know its source.
type layer struct {
	values map[string]string // by key, as the user wrote them
	source func(key) string
}

// layers are the places that values come from, the strongest first.
func (s settings) layers(path string) ([]layer, error) {
	env, envErr := environmentLayer(s.env)
	fromFile, fileErr := fileLayer(path)
	return []layer{s.flagLayer(), env, fromFile, defaultLayer()}, errors.Join(envErr, fileErr)
}

func defaultLayer() layer {
	values := map[string]string{}
	for _, k := range keys() {
		values[k.name] = k.def
	}
	return layer{values, func(key) string { return "default" }}
}

func (s settings) flagLayer() layer {
	values := map[string]string{}
	s.flags.Visit(func(f *pflag.Flag) {
		if k, ok := findKey(func(k key) bool { return k.flag() == f.Name }); ok {
			values[k.name] = f.Value.String()
		}
	})
	return layer{values, func(k key) string { return "flag --" + k.flag() }}
}

// environmentLayer refuses what begins like a variable of ours and is none.
func environmentLayer(env []string) (layer, error) {
	values := map[string]string{}
	var wrong []error
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || name == configEnv || isServiceLink(name) {
			continue
		}
		if k, ok := findKey(func(k key) bool { return k.env() == name }); ok {
			values[k.name] = value
			continue
		}
		wrong = append(wrong, fmt.Errorf("%s in the environment is no setting%s", name, meantVariable(name)))
	}
	return layer{values, func(k key) string { return "environment " + k.env() }}, errors.Join(wrong...)
}

// serviceLink is what Kubernetes sets in every container beside a Service that
// is called oncepay:
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(`^ONCEPAY_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func isServiceLink(name string) bool { return serviceLink.MatchString(name) }

// meantVariable leaves out what all variables begin with: it would make them
// look alike.
func meantVariable(name string) string {
	own := func(name string) string { return strings.TrimPrefix(name, envPrefix) }
	return meant(envPrefix, own(name), func(k key) string { return own(k.env()) })
}

// meant ends a complaint about name, which is no key in the given form.
func meant(prefix, name string, form func(key) string) string {
	var known []string
	for _, k := range keys() {
		known = append(known, form(k))
	}
	return cmp.Or(didYouMean(prefix, name, known), "; `oncepay config` lists them all")
}
