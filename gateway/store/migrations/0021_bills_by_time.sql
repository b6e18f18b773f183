-- Bills of a month, in the order in which they were decided.
CREATE INDEX IF NOT EXISTS bill_by_time ON bill (decided_at, session_id);
