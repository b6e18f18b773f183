-- Where flexibility of a token's sessions is credited: an address on the ledger's chain.
CREATE TABLE driver_wallet (
    token_key  TEXT PRIMARY KEY,
    address    TEXT NOT NULL CHECK (length(address) = 42),
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
