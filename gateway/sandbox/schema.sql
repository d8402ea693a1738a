-- The books of a sandbox. Times are microseconds since 1970, amounts minor units.

-- One row for each id that was ever sent or asked about.
CREATE TABLE operations (
	id          TEXT PRIMARY KEY,
	sends       INTEGER NOT NULL,           -- that arrived, executed or not
	checks      INTEGER NOT NULL,
	fingerprint BLOB,                       -- of what was executed
	execution   INTEGER,                    -- that a repeat is answered with
	remembered  INTEGER                     -- since when
) STRICT, WITHOUT ROWID;

-- One row for each time that an operation was executed.
CREATE TABLE executions (
	num           INTEGER PRIMARY KEY,
	operation     TEXT NOT NULL,
	kind          TEXT NOT NULL,
	payment       TEXT NOT NULL,
	gateway_id    TEXT NOT NULL UNIQUE,
	target        TEXT NOT NULL,            -- the charge's gateway_id; '' for a charge
	amount        INTEGER NOT NULL,
	currency      TEXT NOT NULL,
	status        TEXT NOT NULL,            -- succeeded, declined, requires_action
	decline_code  TEXT NOT NULL,
	captured      INTEGER NOT NULL,         -- of a charge
	refunded      INTEGER NOT NULL,
	closed        INTEGER NOT NULL,         -- 1: nothing more can be captured
	voided        INTEGER NOT NULL,
	request       TEXT NOT NULL,            -- the rest of what was asked, as JSON
	visible_at    INTEGER NOT NULL,         -- lookups do not see it before
	at            INTEGER NOT NULL          -- when it was executed
) STRICT;

CREATE INDEX executions_of_operation ON executions (operation);
CREATE INDEX executions_of_payment ON executions (payment, num);

-- What a customer has to approve or refuse.
CREATE TABLE actions (
	gateway_id TEXT PRIMARY KEY,
	outcome    TEXT NOT NULL,               -- '' until it is approved, refused or canceled
	decided_at INTEGER
) STRICT, WITHOUT ROWID;

-- One row for each webhook that is to be delivered.
CREATE TABLE deliveries (
	num       INTEGER PRIMARY KEY,
	event     TEXT NOT NULL,
	operation TEXT NOT NULL,                -- those of one are sent one after the other
	url       TEXT NOT NULL,
	secret    TEXT NOT NULL,
	body      BLOB NOT NULL,
	attempts  INTEGER NOT NULL,
	due       INTEGER,                      -- when it is tried; none once that is over
	result    TEXT NOT NULL                 -- of the last attempt
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
