//go:build !crashtest

package main

import "github.com/oncepay/oncepay/engine"

// phaseHook is where a test that kills this program looks in; see
// phase_crashtest.go.
func phaseHook() (func(engine.Phase), error) { return nil, nil }
