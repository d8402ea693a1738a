package httponce

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"

	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/once"
)

// recorder is the ResponseWriter that a handler writes its answer to. It holds the
// answer back until that is kept, so that nobody is told what is not durable. An
// answer that is flushed, or larger than what is kept, streams: it goes out as it is
// written, and is kept beside as far as there is room.
//
// The handler's header is that of the ResponseWriter around it: what was in there
// before shows, and what differs from it afterwards is the handler's.
type recorder struct {
	http.ResponseWriter
	attempt *once.Attempt
	room    int         // how many bytes of a body are kept
	outer   http.Header // the header as it was found; nil if it was empty

	header  lines  // as it was when the status was written
	status  int    // 0: not written yet
	body    []byte // what is kept, or held back
	streams bool   // header and body are on their way
	dropped bool   // there is more body than room, and none is kept
	gone    error  // why the client cannot be written to
	expiry  [1]string
}

// WriteHeader is http.ResponseWriter's. Informational answers go through, and are
// not kept.
func (w *recorder) WriteHeader(status int) {
	switch {
	case w.status != 0: // superfluous, as net/http calls it
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %d", status))
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status)
	default:
		w.status, w.header = status, linesOf(w.Header())
	}
}

// Write is http.ResponseWriter's. It does not fail if the client is gone, as long as
// what is written is kept: the handler goes on to its end.
func (w *recorder) Write(p []byte) (int, error) {
	if w.begin(); !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	fits := !w.dropped && len(w.body)+len(p) <= w.room
	if fits {
		w.body = append(w.body, p...)
	} else if !w.streams {
		w.stream(p)
	}
	if w.streams {
		w.forward(p)
	}
	if !fits {
		w.body, w.dropped = nil, true
		if w.gone != nil { // nobody reads it, nothing keeps it: an endless stream ends here
			return 0, w.gone
		}
	}
	return len(p), nil
}

// begin makes sure that the answer has a status.
func (w *recorder) begin() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// end is called when the handler has returned: one that has written nothing has
// answered with an empty 200.
func (w *recorder) end() {
	if w.begin(); !w.streams {
		w.sniff(w.body)
	}
}

// stream sends what was held back. From now on nothing is. next is what will be
// written then.
func (w *recorder) stream(next []byte) {
	w.streams = true
	if w.sniff(w.body); len(w.body) == 0 {
		w.sniff(next)
	}
	h := w.Header()
	w.header.put(h)
	w.expires(h)
	w.ResponseWriter.WriteHeader(w.status)
	if len(w.body) > 0 {
		w.forward(w.body)
	}
}

// expires advertises until when the answer is kept.
func (w *recorder) expires(h http.Header) {
	w.expiry[0] = w.attempt.ExpiresAt().UTC().Format(jcs.TimeFormat)
	h[HeaderExpires] = w.expiry[:]
}

func (w *recorder) forward(p []byte) {
	if w.gone == nil {
		_, w.gone = w.ResponseWriter.Write(p)
	}
}

// forget leaves nothing of the answer that was held back.
func (w *recorder) forget() {
	h := w.Header()
	clear(h)
	maps.Copy(h, w.outer)
}

// sniff says what a body is that begins so, where the handler does not: what the
// server would find out from how the bytes come is the same when they come again.
func (w *recorder) sniff(beginning []byte) {
	if len(beginning) == 0 || w.header.typed() {
		return
	}
	for _, name := range [...]string{"Content-Encoding", "Transfer-Encoding"} {
		if values, _ := w.header.of(name); len(values) > 0 && values[0] != "" {
			return
		}
	}
	w.header.add("Content-Type", http.DetectContentType(beginning))
}

// Flush is http.Flusher's.
func (w *recorder) Flush() { w.FlushError() }

// FlushError is what [http.ResponseController] looks for: it begins a stream.
func (w *recorder) FlushError() error {
	if w.begin(); !w.streams {
		w.stream(nil)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack refuses: what is said on a connection that is no longer HTTP cannot be kept.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, fmt.Errorf("httponce: a connection whose answer is kept cannot be taken over: %w", http.ErrNotSupported)
}

// Unwrap is for [http.ResponseController]: deadlines, for example, are not ours.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bodyAllowed says whether an answer of that status has a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
