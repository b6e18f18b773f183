-- How stations depart from the specification, and how far their clocks are off.

-- One row per kind and place; places come from the schemas, so there are not many.
CREATE TABLE station_deviation (
    station_id    TEXT NOT NULL,
    kind          TEXT NOT NULL,
    action        TEXT NOT NULL,
    path          TEXT NOT NULL,
    messages      INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at  TEXT NOT NULL,
    last_detail   TEXT NOT NULL,
    last_offset   INTEGER NOT NULL,
    PRIMARY KEY (station_id, kind, action, path)
) WITHOUT ROWID;

INSERT INTO station_deviation
SELECT station_id, found.value ->> 'kind', action, found.value ->> 'path',
       count(DISTINCT offset), min(received_at), max(received_at),
       max(found.value ->> 'detail'), max(offset)
FROM frame, json_each(deviations) AS found
WHERE deviations IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- A message can be late but never early: of the offsets seen, the highest is nearest.
CREATE TABLE station_clock (
    station_id         TEXT PRIMARY KEY,
    window_began_at    TEXT NOT NULL,
    window_highest_ms  INTEGER NOT NULL,
    earlier_highest_ms INTEGER,
    seen_at            TEXT NOT NULL
) WITHOUT ROWID;
