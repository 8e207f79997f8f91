-- Messages that must reach the CSMS, in the order of row_id. A row with a cause is a dead letter.
CREATE TABLE outbox (
    row_id INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    version TEXT NOT NULL,
    action TEXT NOT NULL,
    payload BLOB NOT NULL,
    seq_no INTEGER NOT NULL,
    droppable INTEGER NOT NULL,
    offline INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cause TEXT
);
