package sqlite

import (
	"errors"
	"fmt"
)

// openOwner opens the connection that writes.
func openOwner(path string, cacheBytes int) (*conn, error) {
	return openWith(path, readWrite,
		"PRAGMA page_size = 4096",
		"PRAGMA journal_mode = WAL",
		// FULL syncs the log at every commit. NORMAL would lose the last commits
		// in a power cut.
		"PRAGMA synchronous = FULL",
		// The log is checkpointed beside the writer, not by it.
		"PRAGMA wal_autocheckpoint = 0",
		fmt.Sprintf("PRAGMA journal_size_limit = %d", logSizeLimit),
		"PRAGMA temp_store = MEMORY",
		fmt.Sprintf("PRAGMA cache_size = -%d", cacheBytes/1024),
	)
}

// openBeside opens a connection that reads beside the owner.
func openBeside(path string, cacheBytes int) (*conn, error) {
	return openWith(path, readOnly,
		"PRAGMA query_only = ON",
		"PRAGMA temp_store = MEMORY",
		fmt.Sprintf("PRAGMA cache_size = -%d", cacheBytes/1024),
	)
}

func openWith(name string, flags int32, pragmas ...string) (*conn, error) {
	c, err := openConn(name, flags)
	if err != nil {
		return nil, err
	}
	if err := c.setUp(pragmas); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// setUp makes settings, of which some change the file: not if it is not ours.
func (c *conn) setUp(pragmas []string) error {
	found, err := version(c)
	if err == nil {
		err = checkVersion(found, latest())
	}
	for _, p := range pragmas {
		if err == nil {
			err = c.script(p)
		}
	}
	return err
}

// logSizeLimit is what the log's file is cut to when it starts anew after it
// had to grow.
const logSizeLimit = 64 << 20
