-- What the API sets for a station besides its wiring.
-- configured_hash: the configuration's password when it was last taken over, so that a
-- secret rotated since then is not undone by a restart.
-- pending_hash: a secret that was sent to the station without an answer yet.

ALTER TABLE station ADD COLUMN items_per_message INTEGER
    CHECK (items_per_message IS NULL OR items_per_message >= 1);
ALTER TABLE station ADD COLUMN configured_hash TEXT;
ALTER TABLE station ADD COLUMN pending_hash TEXT;
