-- Idempotency keys. A store makes these tables itself (Migrate), or your own tool does; run again it changes nothing.
-- With another schema or prefix the names differ: Keys.Schema says them. docs: package pgkeys.
CREATE TABLE IF NOT EXISTS once_keys (
  tenant      text COLLATE "C" NOT NULL, -- in texts but id a zero byte, a broken one and \ itself are escaped with \
  id          text COLLATE "C" NOT NULL,
  version     bigint NOT NULL,
  state       smallint NOT NULL, -- 1 claimed, 2 done, 3 released, 4 unknown, 5 tombstone
  operation   text NOT NULL,
  resource    text NOT NULL,
  attempt     bigint NOT NULL,
  owner       text NOT NULL,
  lease_until timestamptz,
  created_at  timestamptz,
  expires_at  timestamptz, -- when the window is over: whether a row was changed since or not
  forget_at   timestamptz,
  scheme      smallint NOT NULL,
  fingerprint bytea NOT NULL,
  progress    bytea,
  note        text NOT NULL,
  replays     bigint NOT NULL,
  status      smallint NOT NULL,
  dropped     boolean NOT NULL,
  seal        text NOT NULL,
  slot        smallint, -- its answer is in once_answers_N, if it has one and its window is not over
  PRIMARY KEY (tenant, id)
);
CREATE INDEX IF NOT EXISTS once_keys_unfinished ON once_keys (tenant, id) WHERE state IN (1, 4);
CREATE INDEX IF NOT EXISTS once_keys_forgotten ON once_keys (forget_at) WHERE state IN (2, 3, 5);

-- Answers, in the table of the day on which they expire: when all of it is over it is truncated, however many they were.
CREATE TABLE IF NOT EXISTS once_answers_0 (
  tenant     text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  version    bigint NOT NULL, -- of the key, when it was answered
  expires_at timestamptz NOT NULL,
  header     json NOT NULL,
  body       bytea,
  PRIMARY KEY (tenant, id, version)
);
CREATE INDEX IF NOT EXISTS once_answers_0_over ON once_answers_0 (expires_at);
CREATE TABLE IF NOT EXISTS once_answers_1 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_2 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_3 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_4 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_5 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_6 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_7 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_8 (LIKE once_answers_0 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS once_answers_9 (LIKE once_answers_0 INCLUDING ALL);
