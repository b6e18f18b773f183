-- Readings are found from their session: it names the latest, each names the one before.
-- Only readings of sessions in which some came out of order are in the index (listed).
ALTER TABLE reading ADD COLUMN previous_id INTEGER;
ALTER TABLE reading ADD COLUMN is_listed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN last_reading_id INTEGER;
ALTER TABLE session ADD COLUMN is_listed INTEGER NOT NULL DEFAULT 0;

DROP INDEX reading_once;
CREATE TABLE found (
    reading_id  INTEGER PRIMARY KEY,
    session_id  TEXT NOT NULL,
    previous_id INTEGER,
    is_back     INTEGER NOT NULL
);
INSERT INTO found
    SELECT reading_id, session_id, lag(reading_id) OVER trail,
           coalesce(sampled_at < lag(sampled_at) OVER trail, 0)
    FROM reading WHERE session_id IS NOT NULL
    WINDOW trail AS (PARTITION BY session_id ORDER BY reading_id);
UPDATE session SET last_reading_id = latest, is_listed = of_session.is_back
    FROM (SELECT session_id AS of_id, max(reading_id) AS latest, max(is_back) AS is_back
          FROM found GROUP BY session_id) AS of_session
    WHERE session_id = of_id;
UPDATE reading SET previous_id = found.previous_id
    FROM found WHERE found.reading_id = reading.reading_id;
DROP TABLE found;
UPDATE reading SET is_listed = 1 WHERE session_id IS NULL
    OR session_id IN (SELECT session_id FROM session WHERE session.is_listed = 1);

CREATE UNIQUE INDEX reading_once ON reading
    (coalesce(session_id, station_id), sampled_at, evse_id, digest)
    WHERE is_listed = 1;
