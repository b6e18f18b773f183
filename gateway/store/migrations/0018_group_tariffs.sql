-- Tariffs of groups of id tokens, which count over those of stations. group_key is the
-- group in lower case, as tokens compare.
CREATE TABLE group_tariff (
    group_key  TEXT PRIMARY KEY,
    group_id   TEXT NOT NULL,
    tariff_id  TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
