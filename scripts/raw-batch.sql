-- A hundred transfers in one transaction, as fast as SQL writes their rows: with
-- statements of many rows.
\set n random(1, 90000000000000)
\set first random(1, 900)
BEGIN;
SELECT count(*) FROM (SELECT posted FROM balances WHERE account BETWEEN :first AND :first + 100 ORDER BY account FOR UPDATE) locked;
UPDATE balances SET posted = posted + 1, entries = entries + 1, version = version + 1 WHERE account BETWEEN :first AND :first + 100;
INSERT INTO transfers (tenant, id, status, from_account, to_account, amount, amount_posted, currency, created_at, version)
  SELECT 'raw', 'tr_' || lpad((:n::bigint * 100 + i)::text, 26, '0'), 2, 'bench:' || :first, 'bench:' || :first + i, 100, 100, 'EUR', :now, 1 FROM generate_series(1, 100) i;
INSERT INTO entries SELECT nextval('raw_entries'), :first, 'tr_' || lpad((:n::bigint * 100 + i)::text, 26, '0'), 1, -100, 0, 0, 0, 0, 0, 0, 1, :now FROM generate_series(1, 200) i;
INSERT INTO keys SELECT lpad((:n::bigint * 100 + i)::text, 36, '0'), 'raw', decode(repeat('ab', 33), 'hex'), 2, 'POST /v1/transfers', 'tr_' || lpad((:n::bigint * 100 + i)::text, 26, '0'), 1, NULL, :now, :now,
  0, 1, 201, repeat('h', 90), convert_to(repeat('b', 380), 'UTF8') FROM generate_series(1, 100) i;
INSERT INTO events (tenant, id, type, subject, at, data)
  SELECT 'raw', 'evt_' || lpad((:n::bigint * 100 + i)::text, 26, '0'), 'transfer.posted', 'tr_' || lpad((:n::bigint * 100 + i)::text, 26, '0'), :now, repeat('d', 330) FROM generate_series(1, 100) i;
COMMIT;
