// Package pgtest starts PostgreSQL servers for tests: real ones, each the test's own, in a
// temporary folder and on a free port of 127.0.0.1, stopped by their process id.
//
// Tests that need nothing of a server but an empty database share one by [Database]; its
// package calls [Main] from TestMain. Tests that stop servers, or set them up in their own
// way, [Start] one.
//
// It is built with the tag integration only. Where PostgreSQL is missing, tests fail:
// scripts/deps installs it.
package pgtest
