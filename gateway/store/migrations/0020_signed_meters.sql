-- The key that came along with a signed record; it proves nothing by itself.
ALTER TABLE signed_reading ADD COLUMN public_key TEXT;

-- The key of the meter behind an EVSE, as read off the meter and entered by an operator.
CREATE TABLE meter_key (
    station_id   TEXT NOT NULL,
    evse_id      INTEGER NOT NULL,
    curve        TEXT NOT NULL,
    point        TEXT NOT NULL,
    meter_serial TEXT,
    pinned_at    TEXT NOT NULL,
    pinned_by    TEXT NOT NULL,
    PRIMARY KEY (station_id, evse_id)
);

-- Keys that stations sent with records: proposals to an operator, never trusted.
CREATE TABLE meter_key_seen (
    station_id    TEXT NOT NULL,
    evse_id       INTEGER NOT NULL,
    curve         TEXT NOT NULL,
    point         TEXT NOT NULL,
    meter_serial  TEXT,
    first_seen_at TEXT NOT NULL,
    last_seen_at  TEXT NOT NULL,
    PRIMARY KEY (station_id, evse_id, curve, point)
);

-- What the signed records of a session prove; n_record: how many were looked at.
CREATE TABLE signed_session (
    session_id             TEXT PRIMARY KEY REFERENCES session (session_id),
    verdict                TEXT NOT NULL,
    reasons                TEXT NOT NULL,
    register_start_milliwh INTEGER,
    register_end_milliwh   INTEGER,
    n_record               INTEGER NOT NULL,
    curve                  TEXT,
    point                  TEXT,
    checked_at             TEXT NOT NULL
);

-- Each of them; the digest finds a record that another session has shown already.
CREATE TABLE signed_record (
    session_id   TEXT NOT NULL REFERENCES session (session_id),
    number       INTEGER NOT NULL,
    context      TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    text         TEXT NOT NULL,
    reason       TEXT,
    detail       TEXT NOT NULL,
    curve        TEXT,
    page         TEXT,
    meter_serial TEXT,
    readings     TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
);
CREATE INDEX signed_record_once ON signed_record (sha256);
