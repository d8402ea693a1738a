package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionSaysWhatIsKnown(t *testing.T) {
	released := &debug.BuildInfo{
		GoVersion: "go1.26.1",
		Main:      debug.Module{Version: "v1.2.3"},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "true"}},
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if got, want := describe(released).String(), "oncepay v1.2.3, commit abc123 with changes, go1.26.1, "+platform; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := describe(&debug.BuildInfo{}).String(), "oncepay (devel), commit unknown, "+runtime.Version()+", "+platform; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersionCommand(t *testing.T) {
	text := oncepay(nil, "version")
	if flag := oncepay(nil, "--version"); flag != text || !strings.HasPrefix(text.stdout, "oncepay ") {
		t.Errorf("version says %+v, --version says %+v", text, flag)
	}
	var got build
	if err := json.Unmarshal([]byte(oncepay(nil, "version", "--json").stdout), &got); err != nil || got != readBuild() {
		t.Errorf("got %+v, %v", got, err)
	}
}
