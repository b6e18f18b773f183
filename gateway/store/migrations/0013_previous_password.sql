-- The credential that a station used last, kept until it has used its new one.
ALTER TABLE station ADD COLUMN previous_hash TEXT;
