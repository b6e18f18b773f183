-- What other equipment usually draws, by hour of working days (0 to 23) and of weekends
-- (24 to 47), local time: means of its readings in 0.1 A, and how long they were seen.
CREATE TABLE load_hour (
    load_id    TEXT NOT NULL,
    hour       INTEGER NOT NULL CHECK (hour BETWEEN 0 AND 47),
    l1_da      REAL NOT NULL,
    l2_da      REAL NOT NULL,
    l3_da      REAL NOT NULL,
    seen_s     REAL NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (load_id, hour)
) WITHOUT ROWID;
