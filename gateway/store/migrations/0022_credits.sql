-- Corrections of bills. A settled bill is never edited: what it was too high by becomes
-- a credit, a held bill is decided on once.

-- A bill that an operator gave up is `waived`: as final as a settled one.
CREATE TABLE bill_new (
    session_id            TEXT PRIMARY KEY,
    status                TEXT NOT NULL CHECK (status IN ('held', 'settled', 'waived')),
    verdict               TEXT NOT NULL,
    reasons               TEXT NOT NULL DEFAULT '[]',
    energy_milliwh        INTEGER,
    amount_minor          INTEGER,
    currency              TEXT,
    document              TEXT,
    bill_sha256           TEXT,
    tariff_sha256         TEXT,
    settlement_leaf_index INTEGER,
    session_key           BLOB UNIQUE,
    decided_at            TEXT NOT NULL,
    decided_by            TEXT NOT NULL,
    CHECK (status <> 'settled' OR (document IS NOT NULL AND energy_milliwh IS NOT NULL
                                   AND amount_minor IS NOT NULL AND currency IS NOT NULL))
) WITHOUT ROWID;
INSERT INTO bill_new (session_id, status, verdict, reasons, energy_milliwh, amount_minor,
    currency, document, bill_sha256, tariff_sha256, settlement_leaf_index, session_key,
    decided_at, decided_by)
SELECT session_id, status, verdict, reasons, energy_milliwh, amount_minor,
    currency, document, bill_sha256, tariff_sha256, settlement_leaf_index, session_key,
    decided_at, decided_by FROM bill;
DROP TABLE bill;
ALTER TABLE bill_new RENAME TO bill;
CREATE INDEX bill_held ON bill (decided_at) WHERE status = 'held';
CREATE INDEX IF NOT EXISTS bill_by_time ON bill (decided_at, session_id);
CREATE TRIGGER bill_settled_once BEFORE UPDATE ON bill WHEN old.status <> 'held'
BEGIN SELECT RAISE(ABORT, 'a settled bill is final: record a correction'); END;

-- What an operator made of a held bill: one row per bill. before and after are JSON
-- (registers, energy, amount) or NULL where no bill could be made.
CREATE TABLE bill_decision (
    session_id TEXT PRIMARY KEY,
    decision   TEXT NOT NULL CHECK (decision IN ('released', 'corrected', 'waived')),
    reason     TEXT NOT NULL,
    before     TEXT,
    after      TEXT,
    decided_at TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    leaf_index INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER bill_decided_once BEFORE UPDATE ON bill_decision
BEGIN SELECT RAISE(ABORT, 'a decision on a bill is final'); END;

-- Money back for a settled session; document: the bill it should have been, or NULL.
CREATE TABLE credit (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id      TEXT NOT NULL,
    ordinal         INTEGER NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    currency        TEXT NOT NULL,
    reason          TEXT NOT NULL,
    document        TEXT,
    idempotency_key TEXT NOT NULL,
    asked_sha256    TEXT NOT NULL,
    decided_at      TEXT NOT NULL,
    decided_by      TEXT NOT NULL,
    leaf_index      INTEGER NOT NULL UNIQUE,
    credit_key      BLOB NOT NULL UNIQUE,
    UNIQUE (session_id, ordinal),
    UNIQUE (session_id, idempotency_key)
);
CREATE TRIGGER credit_fits BEFORE INSERT ON credit
WHEN new.amount_minor + (SELECT coalesce(sum(amount_minor), 0) FROM credit
                         WHERE session_id = new.session_id)
     > coalesce((SELECT amount_minor FROM bill
                 WHERE session_id = new.session_id AND status = 'settled'), 0)
BEGIN SELECT RAISE(ABORT, 'credits never exceed a settled bill'); END;
CREATE TRIGGER credit_is_final BEFORE UPDATE ON credit
BEGIN SELECT RAISE(ABORT, 'a credit is final'); END;
CREATE TRIGGER credit_is_kept BEFORE DELETE ON credit
BEGIN SELECT RAISE(ABORT, 'a credit is final'); END;

-- Data that came after the settlement and says otherwise; one row per session, the
-- latest word. found: the bill that they would make, NULL where they make none.
CREATE TABLE correction_proposal (
    session_id     TEXT PRIMARY KEY,
    reasons        TEXT NOT NULL,
    found          TEXT,
    energy_milliwh INTEGER,
    amount_minor   INTEGER,
    found_at       TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('open', 'credited', 'dismissed')),
    decided_at     TEXT,
    decided_by     TEXT
) WITHOUT ROWID;
CREATE INDEX correction_proposal_open ON correction_proposal (found_at)
    WHERE state = 'open';

-- A table of the ledger (ledger/credit_queue.py) for databases that have its others.
CREATE TABLE IF NOT EXISTS credit_queue (
    credit_key BLOB PRIMARY KEY,
    session_key BLOB NOT NULL,
    leaf_hash BLOB NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    tx_id INTEGER,
    refused TEXT
);
CREATE INDEX IF NOT EXISTS credit_by_session ON credit_queue (session_key);
CREATE INDEX IF NOT EXISTS credit_waiting ON credit_queue (credit_key)
    WHERE tx_id IS NULL AND refused IS NULL;
CREATE INDEX IF NOT EXISTS credit_by_tx ON credit_queue (tx_id);
