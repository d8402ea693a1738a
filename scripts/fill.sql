-- Half a million transfers of a tenant named filler, with all that is stored of them.
CREATE TEMP TABLE n AS SELECT i, lpad(i::text, 26, '0') AS id FROM generate_series(:first::bigint, :first + 499999) i;
INSERT INTO transfers (tenant, id, status, from_account, to_account, amount, amount_posted, currency, created_at, version)
  SELECT 'filler', 'tr_' || id, 2, 'a', 'b', 100, 100, 'EUR', :now, 1 FROM n;
INSERT INTO entries SELECT -2 * i - 1, -1, 'tr_' || id, 1, -100, 0, 0, 0, 0, 0, 0, i, :now FROM n;
INSERT INTO entries SELECT -2 * i - 2, -2, 'tr_' || id, 1, 100, 0, 0, 0, 0, 0, 0, i, :now FROM n;
INSERT INTO keys SELECT lpad(id, 36, '0'), 'filler', decode(repeat('ab', 33), 'hex'), 2, 'POST /v1/transfers', 'tr_' || id, 1, NULL, :now, :now + 86400000000,
  0, 1, 201, repeat('h', 90), convert_to(repeat('b', 380), 'UTF8') FROM n;
INSERT INTO events (tenant, id, type, subject, at, data)
  SELECT 'filler', 'evt_' || id, 'transfer.posted', 'tr_' || id, :now, repeat('d', 330) FROM n;
INSERT INTO accounts (num, tenant, id, currency, closed, created_at)
  SELECT -i, 'filler', 'account-' || i, 'EUR', 0, :now FROM generate_series(:first / 500 + 1, :first / 500 + 1000) i;
INSERT INTO balances SELECT -i, 0, 0, 0, 0, 0, 1 FROM generate_series(:first / 500 + 1, :first / 500 + 1000) i;
