-- Which start of the station it was since which it has had no right time; 0: the times are right.
-- A row with a cause is no more; the column stays, since a table is not written anew on a disk that
-- may be full of it.
ALTER TABLE outbox ADD COLUMN run INTEGER NOT NULL DEFAULT 0;

CREATE INDEX outbox_undated ON outbox (row_id) WHERE run <> 0;

-- Messages that were given up, with the reason. Their ids are not used again while they are here.
CREATE TABLE dead_letter (
    row_id INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    version TEXT NOT NULL,
    action TEXT NOT NULL,
    payload BLOB NOT NULL,
    seq_no INTEGER NOT NULL,
    droppable INTEGER NOT NULL,
    offline INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    run INTEGER NOT NULL,
    cause TEXT NOT NULL,
    time TEXT NOT NULL
);

-- When those of earlier versions were given up is not known.
INSERT INTO dead_letter
SELECT
    row_id, lane, version, action, payload, seq_no, droppable, offline, attempts, 0, cause,
    '1970-01-01T00:00:00Z'
FROM outbox
WHERE cause IS NOT NULL;

DELETE FROM outbox WHERE cause IS NOT NULL;

-- Meter readings that the Ended event of a running transaction will repeat.
CREATE TABLE reading (
    transaction_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (transaction_id, number)
);
