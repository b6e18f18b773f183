-- Every pin of a meter's key, from its pinning until its exchange or withdrawal: which
-- key was trusted when. leaf_index: its leaf in the log; null for pins from before this
-- table, until a session is settled by one.
CREATE TABLE meter_key_history (
    pin_id       INTEGER PRIMARY KEY,
    station_id   TEXT NOT NULL,
    evse_id      INTEGER NOT NULL,
    curve        TEXT NOT NULL,
    point        TEXT NOT NULL,
    meter_serial TEXT,
    pinned_at    TEXT NOT NULL,
    pinned_by    TEXT NOT NULL,
    until        TEXT,
    ended_by     TEXT,
    leaf_index   INTEGER
);
CREATE INDEX meter_key_history_of ON meter_key_history (station_id, evse_id, pin_id);
INSERT INTO meter_key_history
    (station_id, evse_id, curve, point, meter_serial, pinned_at, pinned_by)
SELECT station_id, evse_id, curve, point, meter_serial, pinned_at, pinned_by
FROM meter_key ORDER BY pinned_at;
