// Package pgtest starts PostgreSQL servers for tests: real ones, each the test's own, in a
// temporary folder and on a free port of 127.0.0.1, stopped by their process id.
//
// Tests that need nothing of a server but an empty database share one by [Database]; its
// package calls [Main] from TestMain. Tests that stop servers, or set them up in their own
// way, [Start] one.
//
// It is built with the tag integration only. Where PostgreSQL is missing, tests fail:
// scripts/deps installs it. The environment variable PGBIN is the folder of another version's
// programs, all of them: servers are copied by its pg_basebackup, and asked by its psql. `make
// test-postgres PG=FOLDER` runs what needs PostgreSQL on that one.
package pgtest
