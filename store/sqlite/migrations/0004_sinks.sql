-- How far each sink has come with the events. Who relays to it is known to the owner of the
-- file, and to nobody else: it is gone with that process.
CREATE TABLE sinks (
  name     TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  fence    INTEGER NOT NULL,
  moved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
