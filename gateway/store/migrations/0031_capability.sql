-- What stations showed that they can be told; void once their firmware is another.
-- refused and accepted are lists of features.
CREATE TABLE station_capability (
    station_id TEXT PRIMARY KEY,
    firmware   TEXT,
    refused    TEXT NOT NULL DEFAULT '[]',
    accepted   TEXT NOT NULL DEFAULT '[]',
    at_zero    TEXT NOT NULL DEFAULT 'unknown'
        CHECK (at_zero IN ('unknown', 'pauses', 'refused', 'ends')),
    changed_at TEXT NOT NULL
) WITHOUT ROWID;

-- Since when a relative schedule counts; NULL: it has a start of its own.
ALTER TABLE limit_command ADD COLUMN relative_to TEXT;
