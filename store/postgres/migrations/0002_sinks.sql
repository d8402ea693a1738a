-- How far each sink has come with the events, and which process relays to it. An event's
-- number says nothing of whether one with a smaller number is still to be committed: see
-- horizon.go.
CREATE TABLE sinks (
  name        text COLLATE "C" NOT NULL PRIMARY KEY,
  position    bigint NOT NULL,
  fence       bigint NOT NULL,
  moved_at    bigint NOT NULL,
  holder      text,
  lease_until bigint
) WITH (fillfactor = 10);
