package web

import (
	"cmp"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of what a client may send. Each is a promise to whoever runs the
// server: none of them can be exceeded to take memory or time from others.
const (
	MaxBody      = 1 << 20 // bytes of a body: many times the largest request that makes sense
	MaxBatchBody = 8 << 20 // 1,000 items of 8 KiB each, which is full metadata for most
	MaxBatch     = 1000    // items of a batch: about two commits of the engine
	MaxDepth     = 32      // of a body's arrays and objects: the API's own bodies need 4

	// MaxValues bounds the values and names of a body, which take far more memory
	// than the two bytes that "0," takes: a transfer with all the metadata that is
	// allowed has 120. MaxBatchValues is room for a batch of those.
	MaxValues      = 1024
	MaxBatchValues = 128 * MaxBatch

	// MaxBodies bounds the bytes of all bodies that are being read or worked on:
	// a body takes its place before it is read, and keeps it until its request is
	// answered, since until then a job keeps what was in it. What is made of a
	// body (its canonical form, its jobs, its answer) is a few times as large at
	// most, so this bounds memory at a few hundred MiB. It is eight full batches.
	MaxBodies = 64 << 20

	// MaxTenantBodies is what one tenant may have of them, so that clients that
	// send large bodies slowly stand in nobody else's way. It is four full batches,
	// or a storm of 10,000 duplicates of 3 KiB each.
	MaxTenantBodies = MaxBodies / 2

	// MaxNotice bounds a gateway's webhook: they have a few KiB. MaxNotices bounds
	// all that are at work: who sends them is known only when they were read. So
	// that nobody can take all of it by sending nothing, they take their room as
	// their bytes come; and so that nobody can shut the others out by sending much,
	// the first FreeNotice bytes take none. That is what most of them have, and not
	// more than a connection takes by itself, which there are only so many of.
	MaxNotice  = 256 << 10
	MaxNotices = 8 << 20
	FreeNotice = 8 << 10

	MaxMetadata      = 50  // pairs
	MaxMetadataName  = 40  // characters
	MaxMetadataValue = 500 // characters
	MaxReference     = 255 // characters
	MaxAccountID     = 64  // characters, all of them ASCII

	MaxMethod      = 255  // characters of a gateway's token, all of them ASCII
	MaxGateway     = 64   // characters of a gateway's name
	MaxGatewayID   = 255  // characters of what a gateway calls something, all of them ASCII
	MaxCustomer    = 255  // characters
	MaxDescription = 500  // characters
	MaxDescriptor  = 22   // characters: what gateways take for a card's statement
	MaxReturnURL   = 2000 // bytes: what every gateway here takes, and browsers and proxies too
	MaxEvidence    = 1000 // characters

	DefaultLimit = 20 // items of a list
	MaxLimit     = 100

	DefaultWait = 10 * time.Second // of a duplicate for the first request's answer, and of all for a gateway's
	MaxWait     = 60 * time.Second // what proxies in between let a request last, about

	// drainWait is for requests that wait while the server goes away: longer than a
	// gateway's usual timeout, shorter than the 10 seconds that servers are given.
	drainWait = 5 * time.Second

	maxIssues = 20 // mistakes told of one body: more than anyone mends at once
)

// Limits of connections. [NewServer] and [Limit] set them.
const (
	// MaxConnections, unless another number is given, bounds goroutines and
	// descriptors: it leaves a good part of the 20,000 files that a process may
	// have open on a strict machine, with room for a storm of 10,000 duplicates.
	MaxConnections = 12_000

	// MaxHeader bounds a request's header: the longest legal key is 255 bytes.
	MaxHeader = 16 << 10

	headerTime = 5 * time.Second // a client that trickles its header is cut off

	// requestTime is for the header and the body. It goes on while an answer is
	// waited for, and when it ends net/http takes the client for gone: so it must
	// be longer than any wait.
	requestTime = MaxWait + 15*time.Second

	// noticeTime is for the body of a webhook, whose sender nobody has vouched for:
	// a gateway sends it in one go.
	noticeTime = 5 * time.Second

	answerTime = requestTime + 15*time.Second // from the end of the header on
	idleTime   = 2 * time.Minute              // longer than proxies keep connections: they close first
)

// NewServer makes a server for h with this package's limits. Its own complaints
// (a client that speaks no HTTP, a broken connection) go to log as debug lines.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    MaxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Limit bounds the connections that l has open at once to n, or to
// MaxConnections if n is 0. More wait in the kernel's backlog.
func Limit(l net.Listener, n int) net.Listener {
	return netutil.LimitListener(l, cmp.Or(n, MaxConnections))
}
