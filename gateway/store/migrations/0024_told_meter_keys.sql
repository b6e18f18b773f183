-- Keys of meters that stations tell among their settings: proposals, never trusted.
-- source is the setting as the station names it; curve and point are of the value, where
-- it is a key; what has changed waits to be looked at.
CREATE TABLE meter_key_told (
    station_id  TEXT NOT NULL,
    source      TEXT NOT NULL,
    component   TEXT,
    evse_id     INTEGER NOT NULL,
    value       TEXT NOT NULL,
    curve       TEXT,
    point       TEXT,
    told_at     TEXT NOT NULL,
    is_examined INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (station_id, source)
);
CREATE INDEX meter_key_told_new ON meter_key_told (told_at) WHERE is_examined = 0;
