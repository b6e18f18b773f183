-- Whether a session may be paused: as said for it (NULL: nothing), for its token, and for
-- the group of the token.
ALTER TABLE session_request ADD COLUMN may_pause INTEGER;
ALTER TABLE id_token ADD COLUMN may_pause INTEGER NOT NULL DEFAULT 1;
ALTER TABLE group_need ADD COLUMN may_pause INTEGER NOT NULL DEFAULT 1;

-- What the car of a running session showed of itself; currents in 0.1 A.
CREATE TABLE car_fact (
    session_id        TEXT PRIMARY KEY,
    n_phase           INTEGER,
    taken_da          INTEGER,
    taken_at          TEXT,
    peak_da           INTEGER NOT NULL,
    lowest_da         INTEGER,
    min_da            INTEGER,
    is_idle_by_choice INTEGER NOT NULL
) WITHOUT ROWID;

-- What an operator wants a battery to do until a time (NULL: for good).
CREATE TABLE battery_by_hand (
    battery_id TEXT PRIMARY KEY,
    power_w    INTEGER NOT NULL,
    until_at   TEXT,
    set_at     TEXT NOT NULL
) WITHOUT ROWID;

-- Every obedience test and what it found; steps is a list of step, passed, detail.
CREATE TABLE commissioning_test (
    test_id    INTEGER PRIMARY KEY,
    station_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at   TEXT NOT NULL,
    cause      TEXT NOT NULL CHECK (cause IN ('asked', 'schedule', 'firmware')),
    firmware   TEXT,
    is_proven  INTEGER,
    trouble    TEXT,
    steps      TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX commissioning_test_by_station
    ON commissioning_test (station_id, started_at);

-- When stations are tested next: at due_at, or in a window of local time (minutes of the
-- day) of the first night on which nobody charges; then again after every_days.
CREATE TABLE commissioning_plan (
    station_id TEXT PRIMARY KEY,
    due_at     TEXT NOT NULL,
    from_min   INTEGER,
    until_min  INTEGER,
    every_days INTEGER,
    restart    INTEGER NOT NULL,
    outage_s   REAL NOT NULL,
    set_at     TEXT NOT NULL
) WITHOUT ROWID;
