-- Where tenants want events sent. One that was deleted stays until its deliveries are gone.
CREATE TABLE webhook_endpoints (
  id           text COLLATE "C" NOT NULL PRIMARY KEY,
  tenant       text COLLATE "C" NOT NULL,
  url          text NOT NULL,
  description  text NOT NULL,
  types        text NOT NULL,
  disabled     text NOT NULL,
  generation   bigint NOT NULL,
  former_until bigint,
  failing_from bigint,
  created_at   bigint NOT NULL,
  updated_at   bigint NOT NULL,
  version      bigint NOT NULL,
  request      bytea NOT NULL UNIQUE,
  deleted_at   bigint
) WITH (fillfactor = 50);
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant, id) WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (id) WHERE deleted_at IS NOT NULL;

-- Events on their way to endpoints. What is taken is due again when the lease is over.
CREATE TABLE deliveries (
  endpoint   text COLLATE "C" NOT NULL,
  event      text COLLATE "C" NOT NULL,
  tenant     text COLLATE "C" NOT NULL,
  type       text NOT NULL,
  subject    text NOT NULL,
  place      bigint NOT NULL,
  status     bigint NOT NULL,
  attempts   bigint NOT NULL,
  round_from bigint NOT NULL,
  due_at     bigint,
  created_at bigint NOT NULL,
  done_at    bigint,
  fence      bigint NOT NULL,
  PRIMARY KEY (endpoint, event)
) WITH (fillfactor = 80);
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_status ON deliveries (endpoint, status, event);
CREATE INDEX deliveries_done ON deliveries (done_at) WHERE done_at IS NOT NULL;

-- What came of each attempt.
CREATE TABLE delivery_attempts (
  endpoint text COLLATE "C" NOT NULL,
  event    text COLLATE "C" NOT NULL,
  number   bigint NOT NULL,
  at       bigint NOT NULL,
  took     bigint NOT NULL,
  status   bigint NOT NULL,
  error    text NOT NULL,
  answer   text NOT NULL,
  PRIMARY KEY (endpoint, event, number)
);
