-- When a running session's station restarted, while nothing was heard of it since; and
-- since when a station says that it must restart before a setting counts.
ALTER TABLE session ADD COLUMN interrupted_at TEXT;
ALTER TABLE station ADD COLUMN restart_needed_at TEXT;

-- Which roots the server certificates had that a station last agreed to: a JSON list of
-- names, of more than one where TLS 1.3 does not tell which certificate was used.
CREATE TABLE station_root (
    station_id   TEXT PRIMARY KEY,
    roots        TEXT NOT NULL,
    validated_at TEXT NOT NULL
) WITHOUT ROWID;
