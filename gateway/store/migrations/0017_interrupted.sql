-- When a running session's station restarted, while nothing was heard of it since; and
-- since when a station says that it must restart before a setting counts.
ALTER TABLE session ADD COLUMN interrupted_at TEXT;
ALTER TABLE station ADD COLUMN restart_needed_at TEXT;
