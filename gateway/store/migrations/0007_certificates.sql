-- Certificates of stations.
-- issued_certificate: what our authority signed; the status is what the station said.
-- listed_certificate: a station's store as it last told, per kind (certificate_listing).
-- known_certificate: certificates that passed through our hands, so that the bare hashes
-- of a listing can be given a name and an end.

CREATE TABLE issued_certificate (
    fingerprint TEXT PRIMARY KEY,
    station_id  TEXT NOT NULL,
    use         TEXT NOT NULL,
    serial      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    not_before  TEXT NOT NULL,
    not_after   TEXT NOT NULL,
    chain       TEXT NOT NULL,
    status      TEXT NOT NULL CHECK
        (status IN ('issued', 'installed', 'rejected', 'superseded')),
    issued_at   TEXT NOT NULL,
    changed_at  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX issued_certificate_by_station ON issued_certificate (station_id, issued_at);

CREATE TABLE certificate_listing (
    station_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    told_at    TEXT NOT NULL,
    PRIMARY KEY (station_id, kind)
) WITHOUT ROWID;

CREATE TABLE listed_certificate (
    station_id       TEXT NOT NULL,
    kind             TEXT NOT NULL,
    hash_algorithm   TEXT NOT NULL,
    issuer_name_hash TEXT NOT NULL,
    issuer_key_hash  TEXT NOT NULL,
    serial_number    TEXT NOT NULL,
    children         TEXT NOT NULL,
    told_at          TEXT NOT NULL,
    PRIMARY KEY (station_id, kind, hash_algorithm, issuer_name_hash, issuer_key_hash,
                 serial_number)
) WITHOUT ROWID;

CREATE TABLE known_certificate (
    fingerprint TEXT PRIMARY KEY,
    serial      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    not_after   TEXT NOT NULL,
    pem         TEXT NOT NULL,
    seen_at     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX known_certificate_by_serial ON known_certificate (serial);
