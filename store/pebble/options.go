package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	lib "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// options are Pebble's, where its defaults are not ours.
func (s *Store) options(lock *lib.Lock) *lib.Options {
	o := &lib.Options{
		FS:                 s.gate,
		Lock:               lock,
		Cache:              s.cache,
		FormatMajorVersion: lib.FormatValueSeparation,
		Logger:             logger{s},

		// Tables in memory come out of the cache's bytes: three of an 8th each.
		MemTableSize:                uint64(max(s.cfg.CacheBytes/8, minMemTable)),
		MemTableStopWritesThreshold: 3,

		// What was dropped gives its room back soon, also where nothing else is written.
		FlushDelayDeleteRange: 10 * time.Second,

		// Manifests are read as a whole when the store is opened.
		MaxManifestFileSize: 4 << 20,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // bits a key: one absent key in 100 is looked for in vain
	}
	o.EventListener = &lib.EventListener{
		BackgroundError: func(err error) { s.cfg.Log.Warn("the store of keys could not be tidied up", "err", err) },
		DataCorruption:  func(i lib.DataCorruptionInfo) { s.cfg.Log.Error("the store of keys is damaged", "file", i.Path) },
		WriteStallBegin: func(lib.WriteStallBeginInfo) { s.gate.room.stall(true) },
		WriteStallEnd:   func() { s.gate.room.stall(false) },
		ManifestCreated: func(i lib.ManifestCreateInfo) {
			if i.Err == nil {
				s.gate.trail.created(s.gate.PathBase(i.Path))
			}
		},
	}
	return o
}

const minMemTable = 1 << 20

// logger is what Pebble tells of itself.
type logger struct{ s *Store }

func (l logger) Infof(format string, args ...any) { l.tell(slog.LevelDebug, format, args) }

func (l logger) Errorf(format string, args ...any) { l.tell(slog.LevelDebug, format, args) }

// Fatalf is called when Pebble cannot go on. If it returned, Pebble would.
func (l logger) Fatalf(format string, args ...any) { l.s.gate.fail(fmt.Errorf(format, args...)) }

func (l logger) tell(level slog.Level, format string, args []any) {
	if log := l.s.cfg.Log; log.Enabled(context.Background(), level) {
		log.Log(context.Background(), level, "pebble: "+fmt.Sprintf(format, args...))
	}
}
