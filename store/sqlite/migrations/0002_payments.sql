-- Payments. Times and amounts as before; docs/schema.md describes every column.

-- A key can be claimed in one commit and answered in another.
ALTER TABLE keys ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- What a payment booked says so.
ALTER TABLE transfers ADD COLUMN operation TEXT;

CREATE TABLE payments (
  tenant               TEXT NOT NULL,
  id                   TEXT NOT NULL,
  status               INTEGER NOT NULL,
  in_doubt             INTEGER NOT NULL,
  amount               INTEGER NOT NULL,
  amount_captured      INTEGER NOT NULL,
  amount_refunded      INTEGER NOT NULL,
  currency             TEXT NOT NULL,
  reference            TEXT,
  gateway              TEXT NOT NULL,
  payment_method       TEXT,
  manual               INTEGER NOT NULL,
  canceled             INTEGER NOT NULL,
  customer             TEXT,
  description          TEXT,
  statement_descriptor TEXT,
  return_url           TEXT,
  gateway_options      TEXT,
  metadata             TEXT,
  created_at           INTEGER NOT NULL,
  updated_at           INTEGER NOT NULL,
  version              INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX payments_by_reference ON payments (tenant, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX payments_by_status ON payments (tenant, status, id);

-- Both are empty while all is well: one is for a tenant, one for the operators.
CREATE INDEX payments_in_doubt ON payments (tenant, in_doubt, id) WHERE in_doubt = 1;
CREATE INDEX payments_doubtful ON payments (in_doubt, id, tenant) WHERE in_doubt = 1;

-- And these, with what a human must decide: they are counted often.
CREATE INDEX payments_in_review ON payments (status) WHERE status = 8;

CREATE TABLE operations (
  tenant          TEXT NOT NULL,
  payment         TEXT NOT NULL,
  place           INTEGER NOT NULL,
  id              TEXT NOT NULL,
  gateway         TEXT NOT NULL,
  kind            INTEGER NOT NULL,
  amount          INTEGER NOT NULL,
  last            INTEGER NOT NULL,
  outcome         INTEGER NOT NULL,
  moved           INTEGER NOT NULL,
  gateway_id      TEXT,
  action_url      TEXT,
  failure_code    TEXT,
  decline_code    TEXT,
  failure_message TEXT,
  parked          TEXT,
  epoch           INTEGER NOT NULL,
  attempt         INTEGER NOT NULL,
  exposed         INTEGER NOT NULL,
  owner           TEXT,
  first_sent_at   INTEGER,
  sent_at         INTEGER,
  lease_until     INTEGER,
  stopped_at      INTEGER,
  resend_until    INTEGER,
  adrift          INTEGER NOT NULL,
  lookup_lag      INTEGER NOT NULL,
  in_flight       INTEGER NOT NULL,
  checks          INTEGER NOT NULL,
  blanks          INTEGER NOT NULL,
  checked_at      INTEGER,
  absent_at       INTEGER,
  lag             INTEGER NOT NULL,
  hinted          INTEGER NOT NULL,
  due_at          INTEGER,
  key             TEXT,
  followers       TEXT,
  asked           INTEGER NOT NULL,
  request_id      TEXT,
  booked          INTEGER NOT NULL,
  suspended       INTEGER NOT NULL,
  transfer        TEXT,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  PRIMARY KEY (tenant, payment, place),
  UNIQUE (tenant, id),
  FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id)
) STRICT, WITHOUT ROWID;

-- By gateway, so that what has been due for long at one hides nothing of another.
CREATE INDEX operations_due ON operations (gateway, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX operations_at_gateway ON operations (tenant, gateway_id) WHERE gateway_id IS NOT NULL;
CREATE INDEX refunds_in_review ON operations (kind, outcome, parked) WHERE kind = 5 AND (parked IS NOT NULL OR outcome = 4);

CREATE TABLE payment_references (
  tenant    TEXT NOT NULL,
  reference TEXT NOT NULL,
  payment   TEXT NOT NULL,
  version   INTEGER NOT NULL,
  PRIMARY KEY (tenant, reference),
  FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
  tenant          TEXT NOT NULL,
  gateway         TEXT NOT NULL,
  id              TEXT NOT NULL,
  payment         TEXT,
  operation       TEXT,
  gateway_id      TEXT,
  type            TEXT NOT NULL,
  matched         INTEGER NOT NULL,
  outcome         INTEGER NOT NULL,
  amount          INTEGER NOT NULL,
  currency        TEXT,
  failure_code    TEXT,
  decline_code    TEXT,
  failure_message TEXT,
  at              INTEGER NOT NULL,
  version         INTEGER NOT NULL,
  waits_for       TEXT,
  PRIMARY KEY (tenant, gateway, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX notices_by_time ON notices (at);

-- A notice that nothing is known of waits for the operation that it names, and is
-- told when that comes: a gateway that also works for somebody else sends many
-- that wait for ever, and nobody looks at those again and again.
CREATE INDEX notices_waiting ON notices (tenant, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX notices_matchable ON notices (gateway, at, id) WHERE matched = 0 AND waits_for IS NULL;

CREATE TABLE payment_lines (
  tenant    TEXT NOT NULL,
  payment   TEXT NOT NULL,
  batch     INTEGER NOT NULL,
  line      INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  type      TEXT NOT NULL,
  operation TEXT,
  key       TEXT,
  detail    TEXT,
  actor     TEXT,
  PRIMARY KEY (tenant, payment, batch, line),
  FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE VIEW payment_list AS
SELECT tenant, id,
       CASE status WHEN 1 THEN 'requires_confirmation' WHEN 2 THEN 'processing' WHEN 3 THEN 'requires_action' WHEN 4 THEN 'authorized'
                   WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed' WHEN 7 THEN 'canceled' WHEN 8 THEN 'needs_review' END AS status,
       CASE in_doubt WHEN 0 THEN 'no' ELSE 'yes' END AS in_doubt,
       amount, amount_captured, amount_refunded, currency, reference, gateway,
       CASE manual WHEN 0 THEN 'automatic' ELSE 'manual' END AS capture_method,
       payment_method, customer, description, metadata,
       strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at,
       strftime('%Y-%m-%dT%H:%M:%S', updated_at / 1000000, 'unixepoch') || printf('.%06dZ', updated_at % 1000000) AS updated_at
  FROM payments;

CREATE VIEW operation_list AS
SELECT o.tenant, o.payment, o.id, p.gateway,
       CASE o.kind WHEN 1 THEN 'charge' WHEN 2 THEN 'authorize' WHEN 3 THEN 'capture' WHEN 4 THEN 'void' WHEN 5 THEN 'refund' END AS kind,
       CASE WHEN o.parked IS NOT NULL THEN 'parked'
            ELSE CASE o.outcome WHEN 0 THEN 'unknown' WHEN 1 THEN 'action_required' WHEN 2 THEN 'declined' WHEN 3 THEN 'succeeded'
                                WHEN 4 THEN 'conflict' END END AS outcome,
       o.amount, o.moved, p.currency, o.gateway_id, coalesce(o.parked, o.failure_message, o.failure_code) AS reason,
       o.attempt AS sends, o.checks, o.transfer,
       strftime('%Y-%m-%dT%H:%M:%S', o.sent_at / 1000000, 'unixepoch') || printf('.%06dZ', o.sent_at % 1000000) AS sent_at,
       strftime('%Y-%m-%dT%H:%M:%S', o.due_at / 1000000, 'unixepoch') || printf('.%06dZ', o.due_at % 1000000) AS due_at,
       strftime('%Y-%m-%dT%H:%M:%S', o.created_at / 1000000, 'unixepoch') || printf('.%06dZ', o.created_at % 1000000) AS created_at,
       strftime('%Y-%m-%dT%H:%M:%S', o.updated_at / 1000000, 'unixepoch') || printf('.%06dZ', o.updated_at % 1000000) AS updated_at
  FROM operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment;

DROP VIEW transfer_list;
CREATE VIEW transfer_list AS
SELECT tenant, id,
       CASE status WHEN 1 THEN 'pending' WHEN 2 THEN 'posted' WHEN 3 THEN 'voided' WHEN 4 THEN 'expired' END AS status,
       from_account, to_account, amount, amount_posted, currency, reference, reverses, reversed_by, operation,
       strftime('%Y-%m-%dT%H:%M:%S', expires_at / 1000000, 'unixepoch') || printf('.%06dZ', expires_at % 1000000) AS expires_at,
       metadata,
       strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at
  FROM transfers;
