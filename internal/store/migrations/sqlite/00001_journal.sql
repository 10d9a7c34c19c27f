-- +goose Up
CREATE TABLE journal (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE tasks (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  state      TEXT NOT NULL,              -- launch.State as JSON
  version    INTEGER NOT NULL,
  wanted     TEXT NOT NULL,              -- written by down without the lease
  wanted_why TEXT NOT NULL DEFAULT '',
  is_over    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,           -- nanoseconds since 1970
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tasks_live_name ON tasks (name) WHERE is_over = 0;

CREATE TABLE leases (
  task  TEXT PRIMARY KEY,
  token INTEGER NOT NULL,
  host  TEXT NOT NULL,
  pid   INTEGER NOT NULL,
  start TEXT NOT NULL,
  until INTEGER NOT NULL                 -- 0: given back
) STRICT;

CREATE TABLE effects (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  task    TEXT NOT NULL,
  attempt TEXT NOT NULL,
  kind    TEXT NOT NULL,
  at      INTEGER NOT NULL,
  done_at INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX effects_task ON effects (task);
-- One intent, one create: the second is refused by the journal itself.
CREATE UNIQUE INDEX effects_one_create ON effects (attempt) WHERE kind = 'create';

CREATE TABLE answers (
  attempt  TEXT NOT NULL,
  pod      TEXT NOT NULL,
  instance TEXT NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (attempt, pod)
) STRICT;

CREATE TABLE logs (
  n       INTEGER PRIMARY KEY AUTOINCREMENT,
  attempt TEXT NOT NULL,
  mark    TEXT NOT NULL,
  at      INTEGER NOT NULL,
  source  TEXT NOT NULL,
  line    TEXT NOT NULL
) STRICT;
CREATE INDEX logs_attempt ON logs (attempt, n);
CREATE UNIQUE INDEX logs_mark ON logs (attempt, mark, source, line) WHERE mark <> '';

CREATE TABLE events (
  n     INTEGER PRIMARY KEY AUTOINCREMENT,
  task  TEXT NOT NULL,
  at    INTEGER NOT NULL,
  event TEXT NOT NULL
) STRICT;
CREATE INDEX events_task ON events (task, n);

CREATE TABLE costs (
  attempt  TEXT PRIMARY KEY,
  task     TEXT NOT NULL,
  n        INTEGER NOT NULL,
  pod      TEXT NOT NULL,
  seconds  REAL NOT NULL,
  cost     INTEGER NOT NULL,             -- billionths of a dollar
  cause    TEXT NOT NULL,
  estimate INTEGER NOT NULL
) STRICT;

CREATE TABLE proofs (task TEXT PRIMARY KEY, at INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;

CREATE TABLE lessons (
  id      TEXT PRIMARY KEY,
  n       INTEGER NOT NULL,
  expires TEXT NOT NULL,
  lesson  TEXT NOT NULL
) STRICT;

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
