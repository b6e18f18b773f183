-- The contract behind a token, as its provider names it: for charge detail records.
ALTER TABLE id_token ADD COLUMN contract_id TEXT;

-- Charge detail records are listed by the time at which their bills became final.
CREATE INDEX bill_settled ON bill (decided_at, session_id) WHERE status = 'settled';
