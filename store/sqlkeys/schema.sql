-- Idempotency keys. Times are microseconds since 1970, NULL is none. docs: package sqlkeys.
CREATE TABLE IF NOT EXISTS once_keys (
  tenant      TEXT NOT NULL,
  id          TEXT NOT NULL,
  version     INTEGER NOT NULL,
  state       INTEGER NOT NULL, -- 1 claimed, 2 done, 3 released, 4 unknown, 5 tombstone
  operation   TEXT NOT NULL,
  resource    TEXT NOT NULL,
  attempt     INTEGER NOT NULL,
  owner       TEXT NOT NULL,
  lease_until INTEGER,
  created_at  INTEGER,
  expires_at  INTEGER,
  forget_at   INTEGER,
  scheme      INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  progress    BLOB,
  note        TEXT NOT NULL,
  replays     INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  header      TEXT,
  body        BLOB,
  dropped     INTEGER NOT NULL,
  seal        TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX IF NOT EXISTS once_keys_unfinished ON once_keys (tenant, id) WHERE state IN (1, 4);
CREATE INDEX IF NOT EXISTS once_keys_over ON once_keys (expires_at) WHERE state = 2;
CREATE INDEX IF NOT EXISTS once_keys_forgotten ON once_keys (forget_at) WHERE state IN (2, 3, 5);
