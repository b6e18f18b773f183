-- What stations say of themselves when asked: reports in pages, the device model,
-- configuration, monitors, events, messages on displays, profiles they hold, networks.

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- An answer in pages; is_whole: it was asked for without a filter.
CREATE TABLE report (
    station_id   TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK
        (kind IN ('device', 'monitors', 'displays', 'customer', 'profiles')),
    request_id   INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK
        (state IN ('asked', 'receiving', 'complete', 'incomplete', 'refused', 'read')),
    base         TEXT,
    asked        TEXT NOT NULL DEFAULT '{}',
    is_whole     INTEGER NOT NULL DEFAULT 0,
    status       TEXT,
    asked_at     TEXT,
    generated_at TEXT,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (station_id, kind, request_id)
) WITHOUT ROWID;
CREATE INDEX report_unfinished ON report (updated_at)
    WHERE state IN ('asked', 'receiving');

-- body: NULL once the report was taken over.
CREATE TABLE report_page (
    station_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    request_id INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    is_last    INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    body       TEXT,
    PRIMARY KEY (station_id, kind, request_id, sequence)
) WITHOUT ROWID;

-- Where device_variable or configuration_key stem from, and for which firmware.
-- attempts: while asked: requests without a complete answer; once complete: restarts
-- right after the station was read. probed_at: when it was last read.
CREATE TABLE device_model (
    station_id TEXT PRIMARY KEY,
    base       TEXT NOT NULL,
    request_id INTEGER,
    state      TEXT NOT NULL CHECK (state IN ('asked', 'complete', 'unsupported')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    firmware   TEXT,
    serial     TEXT,
    read_at    TEXT NOT NULL,
    probed_at  TEXT
) WITHOUT ROWID;

CREATE TABLE configuration_key (
    station_id  TEXT NOT NULL,
    folded      TEXT NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT,
    is_readonly INTEGER NOT NULL,
    read_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, folded)
) WITHOUT ROWID;

CREATE TABLE monitor (
    station_id     TEXT NOT NULL,
    monitor_id     INTEGER NOT NULL,
    component      TEXT NOT NULL,
    variable       TEXT NOT NULL,
    kind           TEXT NOT NULL,
    value          TEXT NOT NULL,
    severity       INTEGER NOT NULL,
    is_transaction INTEGER NOT NULL,
    detail         TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, monitor_id)
) WITHOUT ROWID;

-- Entries of NotifyEvent; severity is that of the monitor, where it is known.
CREATE TABLE station_event (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id   TEXT NOT NULL,
    event_id     INTEGER NOT NULL,
    occurred_at  TEXT NOT NULL,
    received_at  TEXT NOT NULL,
    trigger_word TEXT NOT NULL,
    kind         TEXT NOT NULL,
    component    TEXT NOT NULL,
    variable     TEXT NOT NULL,
    actual_value TEXT NOT NULL,
    monitor_id   INTEGER,
    severity     INTEGER,
    is_alarm     INTEGER NOT NULL,
    is_cleared   INTEGER NOT NULL,
    cleared_at   TEXT,
    detail       TEXT NOT NULL,
    frame_offset INTEGER NOT NULL
);
CREATE UNIQUE INDEX station_event_once ON station_event
    (station_id, event_id, occurred_at, component, variable, is_cleared);
CREATE INDEX station_event_by_station ON station_event (station_id, number);
CREATE INDEX station_event_alarms ON station_event (station_id, component, variable)
    WHERE is_alarm = 1 AND cleared_at IS NULL;

CREATE TABLE display_message (
    station_id     TEXT NOT NULL,
    message_id     INTEGER NOT NULL,
    priority       TEXT NOT NULL,
    transaction_id TEXT,
    ends_at        TEXT,
    body           TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, message_id)
) WITHOUT ROWID;

CREATE TABLE held_profile (
    station_id  TEXT NOT NULL,
    evse_id     INTEGER NOT NULL,
    source      TEXT NOT NULL,
    profile_id  INTEGER NOT NULL,
    purpose     TEXT NOT NULL,
    stack_level INTEGER NOT NULL,
    body        TEXT NOT NULL,
    reported_at TEXT NOT NULL,
    PRIMARY KEY (station_id, evse_id, source, profile_id)
) WITHOUT ROWID;

-- Limits from others than us; cleared_at: they are gone.
CREATE TABLE external_limit (
    station_id  TEXT NOT NULL,
    evse_id     INTEGER NOT NULL,
    source      TEXT NOT NULL,
    body        TEXT NOT NULL,
    notified_at TEXT NOT NULL,
    cleared_at  TEXT,
    PRIMARY KEY (station_id, evse_id, source)
) WITHOUT ROWID;

CREATE TABLE network_profile (
    station_id       TEXT NOT NULL,
    slot             INTEGER NOT NULL,
    url              TEXT NOT NULL,
    security_profile INTEGER NOT NULL,
    body             TEXT NOT NULL,
    status           TEXT NOT NULL,
    set_at           TEXT NOT NULL,
    PRIMARY KEY (station_id, slot)
) WITHOUT ROWID;

CREATE TABLE security_upgrade (
    station_id TEXT PRIMARY KEY,
    target     INTEGER NOT NULL,
    slot       INTEGER,
    url        TEXT,
    state      TEXT NOT NULL CHECK
        (state IN ('started', 'profile_set', 'selected', 'resetting', 'done', 'failed')),
    problem    TEXT,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
