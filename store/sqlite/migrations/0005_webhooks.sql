-- Where tenants want events sent. One that was deleted stays until its deliveries are gone.
CREATE TABLE webhook_endpoints (
  id           TEXT PRIMARY KEY,
  tenant       TEXT NOT NULL,
  url          TEXT NOT NULL,
  description  TEXT NOT NULL,
  types        TEXT NOT NULL,
  disabled     TEXT NOT NULL,
  generation   INTEGER NOT NULL,
  former_until INTEGER,
  failing_from INTEGER,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  version      INTEGER NOT NULL,
  request      BLOB NOT NULL UNIQUE,
  deleted_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant, id) WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (id) WHERE deleted_at IS NOT NULL;

-- Events on their way to endpoints. Who takes one is known to the owner of the file, and to
-- nobody else: it is gone with that process.
CREATE TABLE deliveries (
  endpoint   TEXT NOT NULL,
  event      TEXT NOT NULL,
  tenant     TEXT NOT NULL,
  type       TEXT NOT NULL,
  subject    TEXT NOT NULL,
  place      INTEGER NOT NULL,
  status     INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  round_from INTEGER NOT NULL,
  due_at     INTEGER,
  created_at INTEGER NOT NULL,
  done_at    INTEGER,
  fence      INTEGER NOT NULL,
  PRIMARY KEY (endpoint, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_status ON deliveries (endpoint, status, event);
CREATE INDEX deliveries_done ON deliveries (done_at) WHERE done_at IS NOT NULL;

-- What came of each attempt.
CREATE TABLE delivery_attempts (
  endpoint TEXT NOT NULL,
  event    TEXT NOT NULL,
  number   INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  took     INTEGER NOT NULL,
  status   INTEGER NOT NULL,
  error    TEXT NOT NULL,
  answer   TEXT NOT NULL,
  PRIMARY KEY (endpoint, event, number)
) STRICT, WITHOUT ROWID;
