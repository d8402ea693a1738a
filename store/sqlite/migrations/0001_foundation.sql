-- Times are microseconds since 1970, UTC. Amounts are minor units of the
-- currency. docs/schema.md describes every column.

CREATE TABLE accounts (
  num         INTEGER PRIMARY KEY,
  tenant      TEXT NOT NULL,
  id          TEXT NOT NULL,
  currency    TEXT NOT NULL,
  min_balance INTEGER,
  closed      INTEGER NOT NULL,
  metadata    TEXT,
  created_at  INTEGER NOT NULL,
  UNIQUE (tenant, id)
) STRICT;

CREATE INDEX accounts_by_time ON accounts (tenant, created_at);

-- What changes with every transfer, apart from what does not: the rows that are
-- written all the time stay small.
CREATE TABLE balances (
  account    INTEGER PRIMARY KEY REFERENCES accounts (num),
  posted     INTEGER NOT NULL,
  outgoing   INTEGER NOT NULL,
  incoming   INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  last_entry INTEGER NOT NULL,
  version    INTEGER NOT NULL
) STRICT;

CREATE TABLE transfers (
  tenant        TEXT NOT NULL,
  id            TEXT NOT NULL,
  status        INTEGER NOT NULL,
  from_account  TEXT NOT NULL,
  to_account    TEXT NOT NULL,
  amount        INTEGER NOT NULL,
  amount_posted INTEGER NOT NULL,
  currency      TEXT NOT NULL,
  reference     TEXT,
  reverses      TEXT,
  reversed_by   TEXT,
  expires_at    INTEGER,
  metadata      TEXT,
  created_at    INTEGER NOT NULL,
  version       INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX transfers_by_reference ON transfers (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX transfers_due ON transfers (expires_at) WHERE status = 1 AND expires_at IS NOT NULL;

-- An account's entries are a list: each knows the one before it, the balance
-- knows the last. An index would cost every transfer more than all it reads.
CREATE TABLE entries (
  seq            INTEGER PRIMARY KEY,
  account        INTEGER NOT NULL REFERENCES accounts (num),
  transfer       TEXT NOT NULL,
  kind           INTEGER NOT NULL,
  posted         INTEGER NOT NULL,
  outgoing       INTEGER NOT NULL,
  incoming       INTEGER NOT NULL,
  posted_after   INTEGER NOT NULL,
  outgoing_after INTEGER NOT NULL,
  incoming_after INTEGER NOT NULL,
  prev           INTEGER NOT NULL,
  ordinal        INTEGER NOT NULL,
  at             INTEGER NOT NULL
) STRICT;

-- Every 256th entry of an account, to find one by time.
CREATE TABLE entry_marks (
  account INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (account, at, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  num         INTEGER PRIMARY KEY,
  key         TEXT NOT NULL,
  tenant      TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  state       INTEGER NOT NULL,
  operation   TEXT NOT NULL,
  resource    TEXT,
  attempt     INTEGER NOT NULL,
  lease_until INTEGER,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  replays     INTEGER NOT NULL,
  UNIQUE (key, tenant)
) STRICT;

-- Keys stand on shelves, 1,024 to each, in the order of their numbers. A shelf
-- knows when the first of its answers is over, and when the first of its keys
-- was made that can be forgotten: sweeping looks at no others.
CREATE TABLE key_shelves (
  shelf  INTEGER PRIMARY KEY,
  due    INTEGER,
  oldest INTEGER
) STRICT;

CREATE INDEX key_shelves_due ON key_shelves (due) WHERE due IS NOT NULL;
CREATE INDEX key_shelves_oldest ON key_shelves (oldest) WHERE oldest IS NOT NULL;

CREATE TABLE answers (
  key    INTEGER PRIMARY KEY REFERENCES keys (num),
  status INTEGER NOT NULL,
  header TEXT NOT NULL,
  body   BLOB
) STRICT;

CREATE TABLE events (
  seq     INTEGER PRIMARY KEY,
  tenant  TEXT NOT NULL,
  id      TEXT NOT NULL,
  type    TEXT NOT NULL,
  subject TEXT NOT NULL,
  at      INTEGER NOT NULL,
  data    TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_tenant ON events (tenant);
CREATE INDEX events_by_subject ON events (tenant, subject);

CREATE TABLE api_keys (
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL,
  role       TEXT NOT NULL,
  hash       BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- For people: words instead of numbers, times that can be read.
CREATE VIEW transfer_list AS
SELECT tenant, id,
       CASE status WHEN 1 THEN 'pending' WHEN 2 THEN 'posted' WHEN 3 THEN 'voided' WHEN 4 THEN 'expired' END AS status,
       from_account, to_account, amount, amount_posted, currency, reference, reverses, reversed_by,
       strftime('%Y-%m-%dT%H:%M:%S', expires_at / 1000000, 'unixepoch') || printf('.%06dZ', expires_at % 1000000) AS expires_at,
       metadata,
       strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at
  FROM transfers;

CREATE VIEW account_list AS
SELECT a.tenant, a.id, a.currency, a.min_balance,
       b.posted, b.incoming - b.outgoing AS pending, b.posted - b.outgoing AS available,
       CASE a.closed WHEN 0 THEN 'open' ELSE 'closed' END AS status,
       a.metadata,
       strftime('%Y-%m-%dT%H:%M:%S', a.created_at / 1000000, 'unixepoch') || printf('.%06dZ', a.created_at % 1000000) AS created_at
  FROM accounts a JOIN balances b ON b.account = a.num;

CREATE VIEW statement AS
SELECT a.tenant, a.id AS account, e.ordinal AS line, e.transfer,
       CASE e.kind WHEN 1 THEN 'move' WHEN 2 THEN 'hold' WHEN 3 THEN 'settle' WHEN 4 THEN 'release' END AS type,
       e.posted AS amount, e.incoming - e.outgoing AS held, a.currency,
       e.posted_after AS balance_posted, e.posted_after - e.outgoing_after AS balance_available,
       strftime('%Y-%m-%dT%H:%M:%S', e.at / 1000000, 'unixepoch') || printf('.%06dZ', e.at % 1000000) AS at, e.seq
  FROM entries e JOIN accounts a ON a.num = e.account;
