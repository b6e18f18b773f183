-- What stations may hold, what was planned, whom we trust, what operators set.
-- A limit is here before it is sent: after a crash nothing is held that is not known.

CREATE TABLE limit_command (
    command_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id     TEXT NOT NULL,
    evse_id        INTEGER NOT NULL,
    evse_ids       TEXT NOT NULL,
    purpose        TEXT NOT NULL
        CHECK (purpose IN ('session', 'default', 'station_max')),
    session_id     TEXT,
    transaction_id TEXT,
    profile_id     INTEGER NOT NULL,
    start_at       TEXT NOT NULL,
    steps          TEXT NOT NULL,
    unit           TEXT NOT NULL CHECK (unit IN ('A', 'W')),
    number_phases  INTEGER NOT NULL,
    nominal_v      REAL NOT NULL,
    plan_id        INTEGER,
    sent_at        TEXT NOT NULL,
    answered_at    TEXT,
    seen_at        TEXT,
    outcome        TEXT NOT NULL DEFAULT 'sent' CHECK
        (outcome IN ('sent', 'accepted', 'refused', 'unknown', 'not_sent')),
    is_held        INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX limit_command_held ON limit_command (station_id, command_id)
    WHERE is_held = 1;
CREATE INDEX limit_command_by_session ON limit_command (session_id, command_id);

-- Documents are canonical JSON, deflated.
CREATE TABLE plan (
    plan_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    cabinet_id  TEXT NOT NULL,
    made_at     TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    engine      TEXT NOT NULL,
    problem     BLOB NOT NULL,
    result      BLOB NOT NULL,
    certificate BLOB
);
CREATE INDEX plan_by_cabinet ON plan (cabinet_id, plan_id);

CREATE TABLE station_trust (
    station_id      TEXT PRIMARY KEY,
    is_proven       INTEGER NOT NULL,
    firmware        TEXT,
    leftovers_known INTEGER NOT NULL,
    doubt           TEXT,
    changed_at      TEXT NOT NULL,
    evidence        TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

CREATE TABLE evse_manual_limit (
    station_id TEXT NOT NULL,
    evse_id    INTEGER NOT NULL,
    limit_da   INTEGER NOT NULL CHECK (limit_da >= 0),
    set_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, evse_id)
) WITHOUT ROWID;

CREATE TABLE cabinet_threshold (
    threshold_id INTEGER PRIMARY KEY AUTOINCREMENT,
    cabinet_id   TEXT NOT NULL,
    limit_da     TEXT,
    limit_w      INTEGER,
    from_at      TEXT,
    until_at     TEXT,
    set_at       TEXT NOT NULL,
    CHECK (limit_da IS NOT NULL OR limit_w IS NOT NULL)
);
CREATE INDEX cabinet_threshold_by_cabinet ON cabinet_threshold (cabinet_id, set_at);

CREATE TABLE cabinet_mode (
    cabinet_id TEXT PRIMARY KEY,
    mode       TEXT NOT NULL CHECK (mode IN ('control', 'advise')),
    set_at     TEXT NOT NULL
) WITHOUT ROWID;

-- The newest measurement of other equipment, feeders, PV and batteries.
CREATE TABLE load_reading (
    load_id     TEXT PRIMARY KEY,
    measured_at TEXT NOT NULL,
    current_da  TEXT,
    power_w     REAL
) WITHOUT ROWID;

CREATE TABLE session_promise (
    session_id   TEXT PRIMARY KEY,
    plan_id      INTEGER NOT NULL,
    energy_wh    INTEGER NOT NULL,
    shortfall_wh INTEGER NOT NULL,
    departure_at TEXT NOT NULL,
    is_default   INTEGER NOT NULL,
    reason       TEXT,
    made_at      TEXT NOT NULL
) WITHOUT ROWID;
