-- What the last look at every value that a source can send found, per flow: it is shown until the next one.
CREATE TABLE preflights (
    brand  TEXT NOT NULL,    -- whose
    flow   TEXT NOT NULL,    -- of which flow
    at     INTEGER NOT NULL, -- when it was looked: the next night counts from here
    body   BLOB NOT NULL,    -- packed: what was found, as JSON
    PRIMARY KEY (brand, flow)
) STRICT, WITHOUT ROWID;
