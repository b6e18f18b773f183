-- What was asked of stations, from the wish to its effect.
-- payload and answer are without secrets; wire is what will be sent, only while it waits.

CREATE TABLE command (
    command_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    station_id      TEXT NOT NULL,
    action          TEXT NOT NULL,
    payload         TEXT NOT NULL,
    wire            TEXT,
    asked_by        TEXT NOT NULL,
    idempotency_key TEXT,
    asked_digest    TEXT,
    timeout_s       REAL NOT NULL,
    is_override     INTEGER NOT NULL DEFAULT 0,
    is_queueable    INTEGER NOT NULL DEFAULT 0,
    state           TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'accepted',
        'effected', 'no_effect', 'failed', 'expired')),
    reason          TEXT NOT NULL DEFAULT '',
    detail          TEXT NOT NULL DEFAULT '',
    is_late         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT NOT NULL,
    deadline_at     TEXT,
    sent_at         TEXT,
    answered_at     TEXT,
    effect_by       TEXT,
    ended_at        TEXT,
    answer          TEXT,
    expects         TEXT
);
CREATE INDEX command_by_station ON command (station_id, command_id);
CREATE INDEX command_open ON command (command_id)
    WHERE state IN ('queued', 'sent') OR effect_by IS NOT NULL OR ended_at IS NULL;
CREATE UNIQUE INDEX command_once ON command (station_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Limits are shown together with other commands, newest first.
CREATE INDEX limit_command_by_station ON limit_command (station_id, command_id);
