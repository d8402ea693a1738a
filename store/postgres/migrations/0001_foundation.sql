-- Times are microseconds since 1970, UTC. Amounts are minor units of the
-- currency. docs/schema.md describes every column.
--
-- Texts that rows are found or ordered by are compared byte by byte (COLLATE "C"),
-- whatever the language of the database.

CREATE TABLE accounts (
  num         bigint NOT NULL PRIMARY KEY,
  tenant      text COLLATE "C" NOT NULL,
  id          text COLLATE "C" NOT NULL,
  currency    text NOT NULL,
  min_balance bigint,
  closed      smallint NOT NULL,
  metadata    text,
  created_at  bigint NOT NULL
);

-- Of two indexes that cost the same, as all of a table do that is taken for empty, the
-- planner takes the newest: the one that rows are found by.
CREATE INDEX accounts_by_time ON accounts (tenant, created_at, num);
ALTER TABLE accounts ADD UNIQUE (tenant, id);

-- What changes with every transfer, apart from what does not. No column that changes
-- is indexed and half of each page is free: a new version of a row stands beside the
-- old one, and no index is written.
CREATE TABLE balances (
  account    bigint NOT NULL PRIMARY KEY,
  posted     bigint NOT NULL,
  outgoing   bigint NOT NULL,
  incoming   bigint NOT NULL,
  entries    bigint NOT NULL,
  last_entry bigint NOT NULL,
  version    bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE transfers (
  tenant        text COLLATE "C" NOT NULL,
  id            text COLLATE "C" NOT NULL,
  status        smallint NOT NULL,
  from_account  text COLLATE "C" NOT NULL,
  to_account    text COLLATE "C" NOT NULL,
  amount        bigint NOT NULL,
  amount_posted bigint NOT NULL,
  currency      text NOT NULL,
  reference     text COLLATE "C",
  reverses      text,
  reversed_by   text,
  expires_at    bigint,
  metadata      text,
  created_at    bigint NOT NULL,
  version       bigint NOT NULL,
  operation     text COLLATE "C",
  PRIMARY KEY (tenant, id)
);

CREATE INDEX transfers_by_reference ON transfers (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX transfers_due ON transfers (expires_at) WHERE status = 1 AND expires_at IS NOT NULL;

-- An account's entries are a list: each knows the one before it, the balance
-- knows the last. An index would cost every transfer more than all it reads.
CREATE TABLE entries (
  seq            bigint NOT NULL PRIMARY KEY,
  account        bigint NOT NULL,
  transfer       text COLLATE "C" NOT NULL,
  kind           smallint NOT NULL,
  posted         bigint NOT NULL,
  outgoing       bigint NOT NULL,
  incoming       bigint NOT NULL,
  posted_after   bigint NOT NULL,
  outgoing_after bigint NOT NULL,
  incoming_after bigint NOT NULL,
  prev           bigint NOT NULL,
  ordinal        bigint NOT NULL,
  at             bigint NOT NULL
);

-- Every 256th entry of an account, to find one by time.
CREATE TABLE entry_marks (
  account bigint NOT NULL,
  at      bigint NOT NULL,
  seq     bigint NOT NULL,
  PRIMARY KEY (account, at, seq)
);

-- Numbers are handed out in blocks, so that each replica has some of its own.
CREATE SEQUENCE entry_numbers INCREMENT 8192;
CREATE SEQUENCE account_numbers INCREMENT 1024;
CREATE SEQUENCE commit_numbers;
CREATE SEQUENCE event_numbers;
CREATE SEQUENCE writer_numbers;

-- Keys stand in a table for each day on which they were made: what is over is
-- dropped with its table. A day's table has its keys once; that no other day has
-- them is seen to by enter_day. What has no table of its day is in the rest.
CREATE TABLE keys (
  key         text COLLATE "C" NOT NULL,
  tenant      text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  state       smallint NOT NULL,
  operation   text NOT NULL,
  resource    text,
  attempt     bigint NOT NULL,
  lease_until bigint,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  replays     bigint NOT NULL,
  version     bigint NOT NULL,
  status      smallint,
  header      text,
  body        bytea
) PARTITION BY RANGE (created_at);

CREATE TABLE keys_rest PARTITION OF keys DEFAULT;
CREATE UNIQUE INDEX ON keys_rest (tenant, key);

-- Days whose windows are all over. Nothing is written there any more; from here
-- their keys become tombstones, some at a time.
CREATE TABLE closed_keys (LIKE keys) PARTITION BY RANGE (created_at);

-- What is left of keys whose window is over. A row of a day that is still in
-- closed_keys is not valid yet; one from before meta.keys_since is not any more.
CREATE TABLE tombstones (
  key         text COLLATE "C" NOT NULL,
  tenant      text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  operation   text NOT NULL,
  resource    text,
  attempt     bigint NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  replays     bigint NOT NULL,
  version     bigint NOT NULL
) PARTITION BY RANGE (created_at);

CREATE INDEX ON tombstones (tenant, key);
CREATE TABLE tombstones_rest PARTITION OF tombstones DEFAULT;

-- The days that keys (state 1) and closed_keys (2) have tables for, and up to which key
-- those of a closed one are tombstones. One that is gone (3) is never made again.
CREATE TABLE key_days (
  day          bigint NOT NULL PRIMARY KEY,
  state        smallint NOT NULL,
  moved_tenant text COLLATE "C" NOT NULL,
  moved_key    text COLLATE "C" NOT NULL
);

-- For enter_day, and never written.
CREATE TABLE days_odd ();
CREATE TABLE days_upper ();

-- enter_day has a transaction that makes keys of a day wait for those that make keys
-- of other days, and not for those of the same. Two days of any four that follow each
-- other differ in one of the last two bits of their numbers, and there one of them
-- holds its table in a mode that the other's conflicts with, and its own does not.
-- Days that are far from today, whose last bits say little, are entered alone.
CREATE FUNCTION enter_day(day bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF day IS NULL OR abs(day - floor(extract(epoch FROM clock_timestamp()) / 86400)) > 1 THEN
    LOCK TABLE days_odd IN EXCLUSIVE MODE;
    RETURN;
  END IF;
  IF day & 1 = 0 THEN
    LOCK TABLE days_odd IN ROW EXCLUSIVE MODE;
  ELSE
    LOCK TABLE days_odd IN SHARE MODE;
  END IF;
  IF day & 2 = 0 THEN
    LOCK TABLE days_upper IN ROW EXCLUSIVE MODE;
  ELSE
    LOCK TABLE days_upper IN SHARE MODE;
  END IF;
END $$;

-- fence ends a transaction that did not find as many rows as it expects.
CREATE FUNCTION fence(met bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF met IS DISTINCT FROM wanted THEN
    RAISE EXCEPTION 'a row has changed' USING ERRCODE = 'OP001';
  END IF;
END $$;

-- fence_epoch ends a transaction of a writer who is not of its epoch any more, or of whose
-- commits fewer are there than were acknowledged.
CREATE FUNCTION fence_epoch(made bigint, acknowledged bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF made IS NULL THEN
    RAISE EXCEPTION 'another epoch has begun' USING ERRCODE = 'OP002';
  END IF;
  IF made <= acknowledged THEN
    RAISE EXCEPTION 'commits that were acknowledged are gone' USING ERRCODE = 'OP004';
  END IF;
END $$;

-- The pasts of the store; the last is the one of now. Another begins when the tables are
-- found elsewhere, or their server tells another history, or when an operator says so: what was
-- acknowledged may be missing, and nothing is begun that may have been begun before forgot
-- until that is ended. The first has lost nothing.
CREATE TABLE pasts (
  past     bigint NOT NULL PRIMARY KEY,
  origin   text COLLATE "C" NOT NULL,
  timeline bigint NOT NULL,
  cause    text NOT NULL,
  noted_at bigint NOT NULL,
  forgot   bigint,
  ended_at bigint,
  evidence text,
  actor    text
);

-- Where the tables are. A copy of the server's files has the same; tables that a dump made
-- anew have not, even in the same database.
CREATE FUNCTION store_origin() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || 'pasts'::regclass::oid
    FROM pg_control_system());
END $$;

-- Which history the server tells: that of the file which is written, since the control
-- file has it only after the next checkpoint.
CREATE FUNCTION store_timeline() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int::bigint;
END $$;

-- fence_past ends a transaction of a process that knows another past.
CREATE FUNCTION fence_past(known bigint, noted bigint, origin text, timeline bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF origin <> store_origin() OR timeline <> store_timeline()
    OR NOT EXISTS (SELECT 1 FROM (SELECT past, noted_at FROM pasts ORDER BY past DESC LIMIT 1) p WHERE p.past = known AND p.noted_at = noted) THEN
    RAISE EXCEPTION 'the store was opened in another past' USING ERRCODE = 'OP003';
  END IF;
END $$;

INSERT INTO pasts (past, origin, timeline, cause, noted_at)
VALUES (1, store_origin(), store_timeline(), 'the store was made', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

-- Whoever commits. Each has a row of its own, so that commits of several do not wait
-- for each other: the time of its last commit, how many it made, and its epoch, which goes on when the
-- outcome of a commit is not known, so that one which is still on its way is refused.
CREATE TABLE writers (
  id      bigint NOT NULL PRIMARY KEY,
  epoch   bigint NOT NULL,
  clock   bigint NOT NULL,
  commits bigint NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE events (
  seq     bigint NOT NULL PRIMARY KEY DEFAULT nextval('event_numbers'),
  tenant  text COLLATE "C" NOT NULL,
  id      text COLLATE "C" NOT NULL,
  type    text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  at      bigint NOT NULL,
  data    text NOT NULL
);

CREATE INDEX events_by_tenant ON events (tenant, at, seq);
CREATE INDEX events_by_subject ON events (tenant, subject, at, seq);

CREATE TABLE api_keys (
  id         text COLLATE "C" NOT NULL PRIMARY KEY,
  tenant     text NOT NULL,
  role       text NOT NULL,
  hash       bytea NOT NULL UNIQUE,
  created_at bigint NOT NULL,
  revoked_at bigint
);

CREATE TABLE payments (
  tenant               text COLLATE "C" NOT NULL,
  id                   text COLLATE "C" NOT NULL,
  status               smallint NOT NULL,
  in_doubt             smallint NOT NULL,
  amount               bigint NOT NULL,
  amount_captured      bigint NOT NULL,
  amount_refunded      bigint NOT NULL,
  currency             text COLLATE "C" NOT NULL,
  reference            text COLLATE "C",
  gateway              text COLLATE "C" NOT NULL,
  payment_method       text COLLATE "C",
  manual               smallint NOT NULL,
  canceled             smallint NOT NULL,
  customer             text COLLATE "C",
  description          text COLLATE "C",
  statement_descriptor text COLLATE "C",
  return_url           text COLLATE "C",
  gateway_options      text COLLATE "C",
  metadata             text COLLATE "C",
  created_at           bigint NOT NULL,
  updated_at           bigint NOT NULL,
  version              bigint NOT NULL
);

CREATE INDEX payments_by_reference ON payments (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX payments_by_status ON payments (tenant, status, id);

-- Both are empty while all is well: one is for a tenant, one for the operators.
CREATE INDEX payments_in_doubt ON payments (tenant, in_doubt, id) WHERE in_doubt = 1;
CREATE INDEX payments_doubtful ON payments (in_doubt, id, tenant) WHERE in_doubt = 1;

-- And these, with what a human must decide: they are counted often.
CREATE INDEX payments_in_review ON payments (status) WHERE status = 8;
ALTER TABLE payments ADD PRIMARY KEY (tenant, id); -- the newest, like that of accounts

CREATE TABLE operations (
  tenant          text COLLATE "C" NOT NULL,
  payment         text COLLATE "C" NOT NULL,
  place           bigint NOT NULL,
  id              text COLLATE "C" NOT NULL,
  gateway         text COLLATE "C" NOT NULL,
  kind            smallint NOT NULL,
  amount          bigint NOT NULL,
  last            smallint NOT NULL,
  outcome         smallint NOT NULL,
  moved           bigint NOT NULL,
  gateway_id      text COLLATE "C",
  action_url      text COLLATE "C",
  failure_code    text COLLATE "C",
  decline_code    text COLLATE "C",
  failure_message text COLLATE "C",
  parked          text COLLATE "C",
  epoch           bigint NOT NULL,
  attempt         bigint NOT NULL,
  exposed         smallint NOT NULL,
  owner           text COLLATE "C",
  first_sent_at   bigint,
  sent_at         bigint,
  lease_until     bigint,
  stopped_at      bigint,
  resend_until    bigint,
  adrift          bigint NOT NULL,
  lookup_lag      bigint NOT NULL,
  in_flight       bigint NOT NULL,
  checks          bigint NOT NULL,
  blanks          bigint NOT NULL,
  checked_at      bigint,
  absent_at       bigint,
  lag             bigint NOT NULL,
  hinted          smallint NOT NULL,
  due_at          bigint,
  key             text COLLATE "C",
  followers       text COLLATE "C",
  asked           smallint NOT NULL,
  request_id      text COLLATE "C",
  booked          bigint NOT NULL,
  suspended       bigint NOT NULL,
  transfer        text COLLATE "C",
  created_at      bigint NOT NULL,
  updated_at      bigint NOT NULL,
  PRIMARY KEY (tenant, payment, place),
  UNIQUE (tenant, id)
);

-- By gateway, so that what has been due for long at one hides nothing of another.
CREATE INDEX operations_due ON operations (gateway, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX operations_at_gateway ON operations (tenant, gateway_id) WHERE gateway_id IS NOT NULL;
CREATE INDEX refunds_in_review ON operations (kind, outcome, parked) WHERE kind = 5 AND (parked IS NOT NULL OR outcome = 4);

CREATE TABLE payment_references (
  tenant    text COLLATE "C" NOT NULL,
  reference text COLLATE "C" NOT NULL,
  payment   text COLLATE "C" NOT NULL,
  version   bigint NOT NULL,
  PRIMARY KEY (tenant, reference)
);

CREATE TABLE notices (
  tenant          text COLLATE "C" NOT NULL,
  gateway         text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  payment         text COLLATE "C",
  operation       text COLLATE "C",
  gateway_id      text COLLATE "C",
  type            text COLLATE "C" NOT NULL,
  matched         smallint NOT NULL,
  outcome         smallint NOT NULL,
  amount          bigint NOT NULL,
  currency        text COLLATE "C",
  failure_code    text COLLATE "C",
  decline_code    text COLLATE "C",
  failure_message text COLLATE "C",
  at              bigint NOT NULL,
  version         bigint NOT NULL,
  waits_for       text COLLATE "C",
  PRIMARY KEY (tenant, gateway, id)
);

CREATE INDEX notices_by_time ON notices (at);

-- A notice that nothing is known of waits for the operation that it names, and is
-- told when that comes: a gateway that also works for somebody else sends many
-- that wait for ever, and nobody looks at those again and again.
CREATE INDEX notices_waiting ON notices (tenant, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX notices_matchable ON notices (gateway, at, id) WHERE matched = 0 AND waits_for IS NULL;

CREATE TABLE payment_lines (
  tenant    text COLLATE "C" NOT NULL,
  payment   text COLLATE "C" NOT NULL,
  batch     bigint NOT NULL,
  line      bigint NOT NULL,
  at        bigint NOT NULL,
  type      text COLLATE "C" NOT NULL,
  operation text COLLATE "C",
  key       text COLLATE "C",
  detail    text COLLATE "C",
  actor     text COLLATE "C",
  PRIMARY KEY (tenant, payment, batch, line)
);

-- moment is a time as people read it.
CREATE FUNCTION moment(micros bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT to_timestamp(micros / 1000000) + (micros % 1000000) * interval '1 microsecond' $$;

-- For people: words instead of numbers, times that can be read.
CREATE VIEW account_list AS
SELECT a.tenant, a.id, a.currency, a.min_balance,
       b.posted, b.incoming - b.outgoing AS pending, b.posted - b.outgoing AS available,
       CASE a.closed WHEN 0 THEN 'open' ELSE 'closed' END AS status,
       a.metadata,
       moment(a.created_at) AS created_at
  FROM accounts a JOIN balances b ON b.account = a.num;

CREATE VIEW statement AS
SELECT a.tenant, a.id AS account, e.ordinal AS line, e.transfer,
       CASE e.kind WHEN 1 THEN 'move' WHEN 2 THEN 'hold' WHEN 3 THEN 'settle' WHEN 4 THEN 'release' END AS type,
       e.posted AS amount, e.incoming - e.outgoing AS held, a.currency,
       e.posted_after AS balance_posted, e.posted_after - e.outgoing_after AS balance_available,
       moment(e.at) AS at, e.seq
  FROM entries e JOIN accounts a ON a.num = e.account;

CREATE VIEW payment_list AS
SELECT tenant, id,
       CASE status WHEN 1 THEN 'requires_confirmation' WHEN 2 THEN 'processing' WHEN 3 THEN 'requires_action' WHEN 4 THEN 'authorized'
                   WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed' WHEN 7 THEN 'canceled' WHEN 8 THEN 'needs_review' END AS status,
       CASE in_doubt WHEN 0 THEN 'no' ELSE 'yes' END AS in_doubt,
       amount, amount_captured, amount_refunded, currency, reference, gateway,
       CASE manual WHEN 0 THEN 'automatic' ELSE 'manual' END AS capture_method,
       payment_method, customer, description, metadata,
       moment(created_at) AS created_at,
       moment(updated_at) AS updated_at
  FROM payments;

CREATE VIEW operation_list AS
SELECT o.tenant, o.payment, o.id, p.gateway,
       CASE o.kind WHEN 1 THEN 'charge' WHEN 2 THEN 'authorize' WHEN 3 THEN 'capture' WHEN 4 THEN 'void' WHEN 5 THEN 'refund' END AS kind,
       CASE WHEN o.parked IS NOT NULL THEN 'parked'
            ELSE CASE o.outcome WHEN 0 THEN 'unknown' WHEN 1 THEN 'action_required' WHEN 2 THEN 'declined' WHEN 3 THEN 'succeeded'
                                WHEN 4 THEN 'conflict' END END AS outcome,
       o.amount, o.moved, p.currency, o.gateway_id, coalesce(o.parked, o.failure_message, o.failure_code) AS reason,
       o.attempt AS sends, o.checks, o.transfer,
       moment(o.sent_at) AS sent_at,
       moment(o.due_at) AS due_at,
       moment(o.created_at) AS created_at,
       moment(o.updated_at) AS updated_at
  FROM operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment;

CREATE VIEW transfer_list AS
SELECT tenant, id,
       CASE status WHEN 1 THEN 'pending' WHEN 2 THEN 'posted' WHEN 3 THEN 'voided' WHEN 4 THEN 'expired' END AS status,
       from_account, to_account, amount, amount_posted, currency, reference, reverses, reversed_by, operation,
       moment(expires_at) AS expires_at,
       metadata,
       moment(created_at) AS created_at
  FROM transfers;

-- What is replayed while the window lasts.
CREATE VIEW answers AS SELECT tenant, key, status, header, body FROM keys WHERE status IS NOT NULL;
