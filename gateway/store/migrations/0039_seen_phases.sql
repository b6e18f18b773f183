-- What speaks against counting the car of a running session on fewer phases than its EVSE
-- has: the terminals on which current ever flowed (bit 0 is L1), and whether it drew
-- elsewhere after it was known.
CREATE TABLE car_phase (
    session_id TEXT PRIMARY KEY,
    used       INTEGER NOT NULL CHECK (used BETWEEN 0 AND 7),
    is_barred  INTEGER NOT NULL
) WITHOUT ROWID;
