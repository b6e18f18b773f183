-- Stations, raw frames, and the facts that frames stated.
-- Times are RFC 3339 text in UTC with six decimals: text order is time order.

CREATE TABLE station (
    station_id       TEXT PRIMARY KEY,
    source           TEXT NOT NULL CHECK (source IN ('config', 'api', 'adopted')),
    definition       TEXT NOT NULL DEFAULT '{}',
    cabinet_id       TEXT,
    password_hash    TEXT,
    security_profile INTEGER NOT NULL DEFAULT 1,
    registration     TEXT NOT NULL DEFAULT 'Accepted'
        CHECK (registration IN ('Accepted', 'Pending', 'Rejected')),
    boot_answer      TEXT,
    managed          INTEGER NOT NULL DEFAULT 1,
    vendor           TEXT,
    model            TEXT,
    serial           TEXT,
    firmware         TEXT,
    boot_reason      TEXT,
    booted_at        TEXT,
    accepted_at      TEXT,
    last_seen_at     TEXT,
    ocpp_version     TEXT
);

-- Unknown stations that were refused.
CREATE TABLE knocking (
    station_id    TEXT PRIMARY KEY,
    first_seen_at TEXT NOT NULL,
    last_seen_at  TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    remote        TEXT NOT NULL,
    reason        TEXT NOT NULL
);

-- Every stored frame exactly as it came; "offset" is the position in the journal.
CREATE TABLE frame (
    offset      INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id  TEXT NOT NULL,
    received_at TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    action      TEXT NOT NULL,
    raw         BLOB NOT NULL,
    deviations  TEXT
);
CREATE INDEX frame_with_deviations ON frame (station_id, offset)
    WHERE deviations IS NOT NULL;

CREATE TABLE refused_frame (
    frame_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id  TEXT NOT NULL,
    received_at TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    action      TEXT NOT NULL,
    error_kind  TEXT NOT NULL,
    description TEXT NOT NULL,
    raw         BLOB NOT NULL
);
CREATE INDEX refused_frame_by_station ON refused_frame (station_id, frame_id);

CREATE TABLE evse_status (
    station_id     TEXT NOT NULL,
    evse_id        INTEGER NOT NULL,
    connector_id   INTEGER NOT NULL,
    availability   TEXT NOT NULL,
    charging_state TEXT,
    wire_status    TEXT NOT NULL,
    error_code     TEXT,
    info           TEXT,
    occurred_at    TEXT NOT NULL,
    received_at    TEXT NOT NULL,
    ordered_at     TEXT NOT NULL,
    PRIMARY KEY (station_id, evse_id, connector_id)
) WITHOUT ROWID;

CREATE TABLE session (
    session_id             TEXT PRIMARY KEY,
    station_id             TEXT NOT NULL,
    evse_id                INTEGER NOT NULL,
    connector_id           INTEGER NOT NULL,
    phase                  TEXT NOT NULL CHECK (phase IN ('running', 'ended')),
    transaction_id         TEXT,
    transaction_number     INTEGER UNIQUE,
    id_token               TEXT,
    token_key              TEXT,
    token_kind             TEXT,
    started_at             TEXT,
    ended_at               TEXT,
    received_at            TEXT NOT NULL,
    has_start              INTEGER NOT NULL,
    ended_by               TEXT,
    register_start_milliwh INTEGER,
    register_last_milliwh  INTEGER,
    register_end_milliwh   INTEGER,
    register_low_milliwh   INTEGER,
    first_sample_at        TEXT,
    last_sample_at         TEXT,
    power_w                REAL,
    power_at               TEXT,
    current_l1_a           REAL,
    current_l2_a           REAL,
    current_l3_a           REAL,
    current_at             TEXT,
    soc_percent            REAL,
    soc_at                 TEXT,
    sampled_at             TEXT,
    charging_state         TEXT,
    charging_state_at      TEXT,
    charging_state_sequence INTEGER NOT NULL DEFAULT -1,
    stop_reason            TEXT,
    sequences              TEXT NOT NULL DEFAULT '',
    verdicts               TEXT NOT NULL DEFAULT '',
    verdict                TEXT,
    reservation_id         INTEGER,
    remote_start_id        INTEGER,
    start_offset           INTEGER,
    end_offset             INTEGER,
    start_leaf_index       INTEGER
);
CREATE INDEX session_by_wire_id ON session (station_id, transaction_id);
CREATE INDEX session_by_evse ON session (station_id, evse_id, started_at);
CREATE INDEX session_open ON session (station_id, evse_id) WHERE phase = 'running';
CREATE INDEX session_superseded ON session (station_id, evse_id)
    WHERE ended_by = 'superseded';
CREATE INDEX session_open_by_token ON session (token_key) WHERE phase = 'running';
CREATE INDEX session_by_start ON session (started_at);
CREATE INDEX session_by_token ON session (token_key, started_at);

-- One row per sample time of a message. Repetitions have the same digest.
CREATE TABLE reading (
    reading_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id       TEXT,
    station_id       TEXT NOT NULL,
    evse_id          INTEGER NOT NULL,
    sampled_at       TEXT NOT NULL,
    digest           INTEGER NOT NULL,
    context          TEXT NOT NULL,
    register_milliwh INTEGER,
    power_w          REAL,
    current_l1_a     REAL,
    current_l2_a     REAL,
    current_l3_a     REAL,
    soc_percent      REAL,
    samples          TEXT NOT NULL,
    frame_offset     INTEGER NOT NULL,
    leaf_index       INTEGER
);
CREATE UNIQUE INDEX reading_once ON reading
    (coalesce(session_id, station_id), sampled_at, evse_id, digest);

CREATE TABLE signed_reading (
    session_id   TEXT,
    station_id   TEXT NOT NULL,
    evse_id      INTEGER NOT NULL,
    sampled_at   TEXT NOT NULL,
    digest       INTEGER NOT NULL,
    context      TEXT NOT NULL,
    encoding     TEXT,
    raw          TEXT NOT NULL,
    frame_offset INTEGER NOT NULL
);
CREATE UNIQUE INDEX signed_reading_once ON signed_reading
    (coalesce(session_id, station_id), sampled_at, digest);

-- A second, different word about something already said; never changes a bill itself.
CREATE TABLE amendment (
    session_id       TEXT NOT NULL REFERENCES session (session_id),
    kind             TEXT NOT NULL,
    occurred_at      TEXT NOT NULL,
    register_milliwh INTEGER,
    stop_reason      TEXT,
    frame_offset     INTEGER NOT NULL
);
CREATE UNIQUE INDEX amendment_once ON amendment
    (session_id, kind, occurred_at, coalesce(register_milliwh, -1),
     coalesce(stop_reason, ''));

-- Facts about transactions nobody knows: kept, shown, answered as valid.
CREATE TABLE orphan (
    orphan_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id       TEXT NOT NULL,
    kind             TEXT NOT NULL,
    transaction_id   TEXT,
    evse_id          INTEGER,
    occurred_at      TEXT NOT NULL,
    received_at      TEXT NOT NULL,
    register_milliwh INTEGER,
    reason           TEXT NOT NULL,
    frame_offset     INTEGER NOT NULL
);
CREATE UNIQUE INDEX orphan_once ON orphan
    (station_id, kind, coalesce(transaction_id, ''), occurred_at,
     coalesce(evse_id, -1), coalesce(register_milliwh, -1));

CREATE TABLE id_token (
    token_key    TEXT NOT NULL,
    kind         TEXT NOT NULL DEFAULT '',
    value        TEXT NOT NULL,
    status       TEXT NOT NULL
        CHECK (status IN ('Accepted', 'Blocked', 'Expired', 'Invalid')),
    expires_at   TEXT,
    group_id     TEXT,
    max_sessions INTEGER,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (token_key, kind)
) WITHOUT ROWID;

CREATE TABLE reservation (
    reservation_id INTEGER NOT NULL,
    station_id     TEXT NOT NULL,
    evse_id        INTEGER NOT NULL,
    id_token       TEXT NOT NULL,
    token_kind     TEXT,
    group_id       TEXT,
    expires_at     TEXT NOT NULL,
    status         TEXT NOT NULL CHECK
        (status IN ('Reserved', 'Cancelled', 'Used', 'Expired', 'Rejected')),
    session_id     TEXT,
    created_at     TEXT NOT NULL,
    changed_at     TEXT NOT NULL,
    PRIMARY KEY (reservation_id, station_id)
) WITHOUT ROWID;

CREATE TABLE notification (
    notification_id INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id      TEXT NOT NULL,
    topic           TEXT NOT NULL,
    occurred_at     TEXT NOT NULL,
    received_at     TEXT NOT NULL,
    body            TEXT NOT NULL,
    frame_offset    INTEGER NOT NULL
);
CREATE INDEX notification_by_station ON notification (station_id, topic, notification_id);

CREATE TABLE device_variable (
    station_id  TEXT NOT NULL,
    component   TEXT NOT NULL,
    variable    TEXT NOT NULL,
    attribute   TEXT NOT NULL,
    value       TEXT,
    mutability  TEXT,
    detail      TEXT NOT NULL,
    reported_at TEXT NOT NULL,
    PRIMARY KEY (station_id, component, variable, attribute)
) WITHOUT ROWID;

-- What a driver (or a default) asked for a session.
CREATE TABLE session_request (
    session_id         TEXT PRIMARY KEY,
    energy_wh          REAL,
    target_soc_percent REAL,
    departure_at       TEXT,
    is_default         INTEGER NOT NULL DEFAULT 0,
    source             TEXT NOT NULL,
    updated_at         TEXT NOT NULL
) WITHOUT ROWID;
