-- The contract behind a token, as its provider names it: for charge detail records.
ALTER TABLE id_token ADD COLUMN contract_id TEXT;

-- What a tariff said since when: a session that is told late costs what was asked when
-- it began.
CREATE TABLE tariff_version (
    tariff_id TEXT NOT NULL,
    since     TEXT NOT NULL,
    document  TEXT NOT NULL,
    PRIMARY KEY (tariff_id, since)
) WITHOUT ROWID;
INSERT INTO tariff_version SELECT tariff_id, updated_at, document FROM tariff;

-- Charge detail records are listed by the time at which their bills became final.
CREATE INDEX bill_settled ON bill (decided_at, session_id) WHERE status = 'settled';
