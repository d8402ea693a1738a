package pebble

import "github.com/cockroachdb/pebble/v2/vfs"

// file is a file, or a directory, behind the gate.
type file struct {
	vfs.File
	g     *gate
	spare bool
	name  string // of a manifest; "" of others
	size  int64  // of a manifest: what was written
}

func (g *gate) file(name string, f vfs.File, spare bool) vfs.File {
	if f == nil {
		return nil
	}
	base := g.PathBase(name)
	if !isManifest(base) {
		base = ""
	}
	return &file{File: f, g: g, spare: spare, name: base}
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.g.change(f.spare, func() error {
		some, err := f.File.Write(p[n:]) // what found no room may have been a part
		n += some
		return err
	})
	f.size += int64(n)
	return n, err
}

func (f *file) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.g.change(f.spare, func() error {
		some, err := f.File.WriteAt(p[n:], at+int64(n))
		n += some
		return err
	})
	return n, err
}

func (f *file) Sync() error { return f.synced(f.File.Sync) }

func (f *file) SyncData() error { return f.synced(f.File.SyncData) }

func (f *file) synced(sync func() error) error {
	err := f.g.must(sync)
	if f.name != "" {
		f.g.trail.synced(f.name, f.size)
	}
	return err
}

func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.g.must(func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

func (f *file) Close() error { return f.g.must(f.File.Close) }
