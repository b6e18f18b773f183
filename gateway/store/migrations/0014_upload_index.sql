-- Files of a station are looked up by it.
CREATE INDEX upload_by_station ON upload (station_id, received_at);
