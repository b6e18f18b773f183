-- What witnesses said of the log: the last cosigned checkpoint of each.
CREATE TABLE cosignature (
    witness TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    received_at TEXT NOT NULL
);
