-- Firmware, logs and diagnostics that stations were asked to transfer.
CREATE TABLE transfer (
    transfer_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id   TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('firmware', 'log', 'diagnostics')),
    request_id   INTEGER,
    location     TEXT NOT NULL,
    state        TEXT NOT NULL
        CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    word         TEXT NOT NULL,
    words        TEXT NOT NULL,
    file_name    TEXT,
    asked_at     TEXT NOT NULL,
    changed_at   TEXT NOT NULL
);
CREATE INDEX transfer_by_station ON transfer (station_id, transfer_id);
CREATE INDEX transfer_running ON transfer (station_id, kind) WHERE state = 'running';

-- One-time places that stations upload to; the secret is stored hashed.
CREATE TABLE upload (
    secret_sha256 TEXT PRIMARY KEY,
    station_id    TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    file_path     TEXT,
    file_name     TEXT,
    n_bytes       INTEGER,
    received_at   TEXT
) WITHOUT ROWID;
