-- Tokens: where they may charge and what their drivers are told; one more status.
-- stations, evse_ids: JSON lists; NULL means any.

CREATE TABLE id_token_2 (
    token_key        TEXT NOT NULL,
    kind             TEXT NOT NULL DEFAULT '',
    value            TEXT NOT NULL,
    status           TEXT NOT NULL
        CHECK (status IN ('Accepted', 'Blocked', 'Expired', 'Invalid', 'NoCredit')),
    expires_at       TEXT,
    group_id         TEXT,
    max_sessions     INTEGER,
    updated_at       TEXT NOT NULL,
    stations         TEXT,
    evse_ids         TEXT,
    language         TEXT,
    language_2       TEXT,
    personal_message TEXT,
    PRIMARY KEY (token_key, kind)
) WITHOUT ROWID;
INSERT INTO id_token_2 (token_key, kind, value, status, expires_at, group_id,
                        max_sessions, updated_at)
    SELECT token_key, kind, value, status, expires_at, group_id, max_sessions,
           updated_at FROM id_token;
DROP TABLE id_token;
ALTER TABLE id_token_2 RENAME TO id_token;

-- What a station turned out not to take ('local_list', ...), with the firmware it had:
-- it is not asked again until that changes, or an operator says so.
CREATE TABLE station_refusal (
    station_id TEXT NOT NULL,
    feature    TEXT NOT NULL,
    firmware   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    refused_at TEXT NOT NULL,
    PRIMARY KEY (station_id, feature)
) WITHOUT ROWID;

-- Features switched on or off for one station; without a row the site's setting counts.
CREATE TABLE station_switch (
    station_id TEXT NOT NULL,
    feature    TEXT NOT NULL,
    is_on      INTEGER NOT NULL,
    set_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, feature)
) WITHOUT ROWID;

-- What each station's local authorization list holds, as far as we know.
-- version: NULL while unknown. state: 'unknown', 'pending', 'synced', 'failed' or
-- 'unsupported'.
CREATE TABLE local_list (
    station_id   TEXT PRIMARY KEY,
    version      INTEGER,
    last_version INTEGER NOT NULL DEFAULT 0,
    state        TEXT NOT NULL,
    detail       TEXT NOT NULL DEFAULT '',
    left_out     INTEGER NOT NULL DEFAULT 0,
    changed_at   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE local_list_entry (
    station_id TEXT NOT NULL,
    token_key  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (station_id, token_key, kind)
) WITHOUT ROWID;

-- DataTransfer of stations and what they were answered.
CREATE TABLE data_transfer (
    transfer_id INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id  TEXT NOT NULL,
    received_at TEXT NOT NULL,
    vendor_id   TEXT NOT NULL,
    message_id  TEXT,
    data        TEXT,
    status      TEXT NOT NULL,
    answer      TEXT
);
CREATE INDEX data_transfer_by_station ON data_transfer (station_id, transfer_id);
