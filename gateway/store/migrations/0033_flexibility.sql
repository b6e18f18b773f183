-- What a kWh cost a session in the plans that were made for it; a row where it changed.
CREATE TABLE session_price (
    session_id          TEXT NOT NULL,
    since               TEXT NOT NULL,
    price_micro_per_kwh INTEGER NOT NULL,
    plan_id             INTEGER NOT NULL,
    PRIMARY KEY (session_id, since)
) WITHOUT ROWID;

-- A stay: sessions of one driver that follow each other closely; named by its last one.
CREATE TABLE flexibility_stay (
    stay_id              TEXT PRIMARY KEY REFERENCES session (session_id),
    day                  TEXT NOT NULL,
    shifted_milliwh      INTEGER NOT NULL,
    value_micro          INTEGER NOT NULL,
    reliability_permille INTEGER NOT NULL,
    credited_milliwh     INTEGER NOT NULL
);
CREATE INDEX flexibility_stay_by_day ON flexibility_stay (day);
CREATE TABLE flexibility_session (
    session_id TEXT PRIMARY KEY REFERENCES session (session_id),
    stay_id    TEXT NOT NULL REFERENCES flexibility_stay (stay_id)
);
CREATE TABLE flexibility_day (
    day          TEXT PRIMARY KEY,
    pool_milliwh INTEGER NOT NULL,
    closed_at    TEXT NOT NULL
);
