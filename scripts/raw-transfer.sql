-- One transfer as a program without oncepay would write it: the rows that oncepay
-- writes, of the same sizes, in a transaction of its own, with row locks in order.
-- HOT is 1 where all debits are from one account.
\set from random(1, 1000)
\set to random(1, 999)
\if :hot
\set from 1
\endif
\set to :to + CASE WHEN :to >= :from THEN 1 ELSE 0 END
\set n random(1, 9000000000000000)
BEGIN;
SELECT count(*) FROM (SELECT posted FROM balances WHERE account IN (:from, :to) ORDER BY account FOR UPDATE) locked;
UPDATE balances SET posted = posted - 100, entries = entries + 1, version = version + 1 WHERE account = :from;
UPDATE balances SET posted = posted + 100, entries = entries + 1, version = version + 1 WHERE account = :to;
INSERT INTO transfers (tenant, id, status, from_account, to_account, amount, amount_posted, currency, created_at, version)
  VALUES ('raw', 'tr_' || lpad(:n::text, 26, '0'), 2, 'bench:' || :from, 'bench:' || :to, 100, 100, 'EUR', :now, 1);
INSERT INTO entries VALUES
  (nextval('raw_entries'), :from, 'tr_' || lpad(:n::text, 26, '0'), 1, -100, 0, 0, 0, 0, 0, 0, 1, :now),
  (nextval('raw_entries'), :to, 'tr_' || lpad(:n::text, 26, '0'), 1, 100, 0, 0, 0, 0, 0, 0, 1, :now);
INSERT INTO keys VALUES (lpad(:n::text, 36, '0'), 'raw', decode(repeat('ab', 33), 'hex'), 2, 'POST /v1/transfers', 'tr_' || lpad(:n::text, 26, '0'), 1, NULL, :now, :now,
  0, 1, 201, repeat('h', 90), convert_to(repeat('b', 380), 'UTF8'));
INSERT INTO events (tenant, id, type, subject, at, data)
  VALUES ('raw', 'evt_' || lpad(:n::text, 26, '0'), 'transfer.posted', 'tr_' || lpad(:n::text, 26, '0'), :now, repeat('d', 330));
COMMIT;
