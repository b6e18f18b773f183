-- What drivers of a group of id tokens are assumed to need. group_key is the group in
-- lower case, as tokens compare.
CREATE TABLE group_need (
    group_key  TEXT PRIMARY KEY,
    group_id   TEXT NOT NULL,
    energy_wh  INTEGER,
    stay_s     INTEGER,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;

-- What a promise says beside the plan: delivered when it was asked for; guaranteed
-- whatever others do; at risk by two plans in a row; whose word energy and departure are.
ALTER TABLE session_promise ADD COLUMN delivered_wh INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_promise ADD COLUMN guaranteed_wh INTEGER;
ALTER TABLE session_promise ADD COLUMN is_at_risk INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_promise ADD COLUMN energy_from TEXT NOT NULL DEFAULT 'site';
ALTER TABLE session_promise ADD COLUMN departure_from TEXT NOT NULL DEFAULT 'site';
