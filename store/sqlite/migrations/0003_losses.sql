-- Times at which commits may have been lost: somebody restored a backup, and said so.
-- Nothing is begun that may have been begun before forgot until that is ended.
CREATE TABLE losses (
  number   INTEGER PRIMARY KEY,
  cause    TEXT NOT NULL,
  noted_at INTEGER NOT NULL,
  forgot   INTEGER NOT NULL,
  ended_at INTEGER,
  evidence TEXT,
  actor    TEXT
) STRICT;
