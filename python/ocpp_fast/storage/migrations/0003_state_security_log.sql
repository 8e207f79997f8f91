-- Small facts that blocks keep, each under a name of its own: `network.last_good`, ...
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The rolling log of security events, oldest first.
CREATE TABLE security_log (
    row_id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    tech_info TEXT,
    critical INTEGER NOT NULL
);

-- A row takes the highest id and 1, so the ids have no gaps.
CREATE TRIGGER security_log_rolls AFTER INSERT ON security_log BEGIN
    DELETE FROM security_log WHERE row_id <= NEW.row_id - 10000;
END;
