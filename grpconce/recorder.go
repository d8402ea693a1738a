package grpconce

import (
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// recorder is the transport that a handler's metadata goes to. It keeps them. With no
// stream behind it, it holds them back until the answer is kept.
type recorder struct {
	method string
	out    grpc.ServerStream // nil: they are held back
	open   func()            // with out: called before the header goes out

	mu              sync.Mutex
	header, trailer metadata.MD
	sent            bool
}

var _ grpc.ServerTransportStream = (*recorder)(nil)

var errSent = errors.New("grpconce: the header was sent before")

// Method is grpc.ServerTransportStream's.
func (r *recorder) Method() string { return r.method }

// SetHeader is grpc.ServerTransportStream's.
func (r *recorder) SetHeader(md metadata.MD) error { return r.set(md, false) }

// SendHeader is grpc.ServerTransportStream's.
func (r *recorder) SendHeader(md metadata.MD) error { return r.set(md, true) }

func (r *recorder) set(md metadata.MD, send bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent {
		return errSent
	}
	r.sent = send
	r.header = metadata.Join(r.header, md)
	switch {
	case r.out == nil:
		return nil
	case send:
		r.open()
		r.out.SendHeader(md) // a client that is gone: the handler goes on
		return nil
	}
	return r.out.SetHeader(md)
}

// SetTrailer is grpc.ServerTransportStream's.
func (r *recorder) SetTrailer(md metadata.MD) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trailer = metadata.Join(r.trailer, md)
	if r.out != nil {
		r.out.SetTrailer(md)
	}
	return nil
}

// begun notes that a message goes out, and the header with it.
func (r *recorder) begun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sent {
		r.open()
	}
	r.sent = true
}

// kept is the metadata that was written.
func (r *recorder) kept() (header, trailer metadata.MD) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.header.Copy(), r.trailer.Copy()
}
