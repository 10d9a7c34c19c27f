-- +goose Up
CREATE TABLE journal (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE tasks (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  state      JSON NOT NULL,              -- launch.State, as it was written
  version    BIGINT NOT NULL,
  wanted     TEXT NOT NULL,              -- written by down without the lease
  wanted_why TEXT NOT NULL DEFAULT '',
  is_over    INTEGER NOT NULL,
  created_at BIGINT NOT NULL,            -- nanoseconds since 1970
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tasks_live_name ON tasks (name) WHERE is_over = 0;

CREATE TABLE leases (
  task  TEXT PRIMARY KEY,
  token BIGINT NOT NULL,
  host  TEXT NOT NULL,
  pid   BIGINT NOT NULL,
  start TEXT NOT NULL,
  until BIGINT NOT NULL                  -- 0: given back
);

CREATE TABLE effects (
  id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task    TEXT NOT NULL,
  attempt TEXT NOT NULL,
  kind    TEXT NOT NULL,
  at      BIGINT NOT NULL,
  done_at BIGINT NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX effects_task ON effects (task);
-- One intent, one create: the second is refused by the journal itself.
CREATE UNIQUE INDEX effects_one_create ON effects (attempt) WHERE kind = 'create';

CREATE TABLE answers (
  attempt  TEXT NOT NULL,
  pod      TEXT NOT NULL,
  instance TEXT NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (attempt, pod)
);

CREATE TABLE logs (
  n       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  attempt TEXT NOT NULL,
  mark    TEXT NOT NULL,
  at      BIGINT NOT NULL,
  source  TEXT NOT NULL,
  line    TEXT NOT NULL
);
CREATE INDEX logs_attempt ON logs (attempt, n);
-- An entry of an index holds some 2,700 bytes, and a line may be longer.
CREATE UNIQUE INDEX logs_mark ON logs (attempt, mark, source, md5(line)) WHERE mark <> '';

CREATE TABLE events (
  n     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task  TEXT NOT NULL,
  at    BIGINT NOT NULL,
  event TEXT NOT NULL
);
CREATE INDEX events_task ON events (task, n);

CREATE TABLE costs (
  attempt  TEXT PRIMARY KEY,
  task     TEXT NOT NULL,
  n        BIGINT NOT NULL,
  pod      TEXT NOT NULL,
  seconds  DOUBLE PRECISION NOT NULL,
  cost     BIGINT NOT NULL,              -- billionths of a dollar
  cause    TEXT NOT NULL,
  estimate BOOLEAN NOT NULL
);

CREATE TABLE proofs (task TEXT PRIMARY KEY, at BIGINT NOT NULL, doc TEXT NOT NULL);

CREATE TABLE lessons (
  id      TEXT PRIMARY KEY,
  n       BIGINT NOT NULL,
  expires TEXT NOT NULL,
  lesson  TEXT NOT NULL
);

-- +goose Down
DROP TABLE lessons;
DROP TABLE proofs;
DROP TABLE costs;
DROP TABLE events;
DROP TABLE logs;
DROP TABLE answers;
DROP TABLE effects;
DROP TABLE leases;
DROP TABLE tasks;
DROP TABLE journal;
