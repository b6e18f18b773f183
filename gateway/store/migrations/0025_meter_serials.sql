-- The serial number of the meter as a station says it when it boots (1.6).
ALTER TABLE station_boot ADD COLUMN meter_serial TEXT;
