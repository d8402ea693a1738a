// Package bench puts load on a running oncepay and then checks that what was
// answered is what is stored. It speaks HTTP and nothing else, so it measures
// any oncepay, on any store, on any machine:
//
//	report, err := bench.Run(ctx, bench.Config{Target: "http://127.0.0.1:8080", Audit: true}, os.Stderr)
//	report.WriteTable(os.Stdout)
//
// There are only a few ideas. A plan derives the n-th request from the seed and
// n alone, so nothing about it has to be remembered. A pace says when it is due.
// A wire is one connection and carries one request at a time. A tally counts.
// The outcomes are what the server must still know afterwards, and the audit
// asks it.
//
// # What is promised
//
// Nothing is sent twice silently: a request whose connection broke is unknown,
// is counted as such, and is only repeated, with its own key, by the audit.
// At a fixed rate latency counts from the moment a request was due, so a slow
// server cannot hide behind a client that waits for it. Memory is bounded
// whatever the run's length, and a run ends by itself.
//
// # What is not promised
//
// The audit of a long run is a sample, whose size is in the report; only the
// balances are checked to the last cent. Client and server on one machine share
// its processors: compare with [Bare] in the same run, not with absolute figures
// from elsewhere.
package bench
