-- Which transfer a file came by; NULL: by none that is known.
ALTER TABLE upload ADD COLUMN transfer_id INTEGER;
CREATE INDEX upload_by_transfer ON upload (transfer_id);
