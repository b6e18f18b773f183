-- What real chargers need besides: when they booted, what operators decided about the
-- units of their registers, in which form they present their password, and where and
-- when tokens may charge.

CREATE TABLE station_boot (
    station_id TEXT NOT NULL,
    booted_at  TEXT NOT NULL,
    PRIMARY KEY (station_id, booted_at)
) WITHOUT ROWID;

-- One row per station or model whose registers are, or are not, in a wrong unit.
CREATE TABLE register_unit_decision (
    scope      TEXT NOT NULL CHECK (scope IN ('station', 'model')),
    subject    TEXT NOT NULL,
    decision   TEXT NOT NULL CHECK (decision IN ('confirmed', 'dismissed')),
    factor     TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    PRIMARY KEY (scope, subject)
) WITHOUT ROWID;

ALTER TABLE station ADD COLUMN password_form TEXT
    CHECK (password_form IN ('as_stored', 'other_form'));

-- JSON lists: weekly windows of local time; words of the connector and current types.
ALTER TABLE id_token ADD COLUMN allowed_times TEXT;
ALTER TABLE id_token ADD COLUMN evse_types TEXT;
