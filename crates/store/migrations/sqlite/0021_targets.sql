-- Where each configured flow leads: a mapping, and a value that a list has again, is of one target, and an exception of a flow.
CREATE TABLE flow_targets (
    brand  TEXT NOT NULL,
    flow   TEXT NOT NULL,
    target TEXT NOT NULL,             -- the connection that it delivers to
    PRIMARY KEY (brand, flow)
) STRICT, WITHOUT ROWID;
