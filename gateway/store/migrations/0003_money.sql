-- Tariffs, the terms a session was promised, and its bill.
-- Documents are canonical JSON; sha256 is lower-case hex over exactly those bytes.

CREATE TABLE tariff (
    tariff_id  TEXT PRIMARY KEY,
    document   TEXT NOT NULL,
    source     TEXT NOT NULL CHECK (source IN ('config', 'api')),
    updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tariff_snapshot (
    sha256   TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    document TEXT NOT NULL
) WITHOUT ROWID;

-- Fixed once: a tariff that changes later changes no running session.
CREATE TABLE session_tariff (
    session_id    TEXT PRIMARY KEY,
    tariff_sha256 TEXT NOT NULL REFERENCES tariff_snapshot (sha256),
    fixed_at      TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE bill (
    session_id            TEXT PRIMARY KEY,
    status                TEXT NOT NULL CHECK (status IN ('held', 'settled')),
    verdict               TEXT NOT NULL,
    reasons               TEXT NOT NULL DEFAULT '[]',
    energy_milliwh        INTEGER,
    amount_minor          INTEGER,
    currency              TEXT,
    document              TEXT,
    bill_sha256           TEXT,
    tariff_sha256         TEXT,
    settlement_leaf_index INTEGER,
    session_key           BLOB UNIQUE,
    decided_at            TEXT NOT NULL,
    decided_by            TEXT NOT NULL,
    CHECK (status = 'held' OR (document IS NOT NULL AND energy_milliwh IS NOT NULL
                               AND amount_minor IS NOT NULL AND currency IS NOT NULL))
) WITHOUT ROWID;
CREATE INDEX bill_held ON bill (decided_at) WHERE status = 'held';

CREATE TRIGGER bill_settled_once BEFORE UPDATE ON bill WHEN old.status = 'settled'
BEGIN SELECT RAISE(ABORT, 'a settled bill is final: record a correction'); END;
