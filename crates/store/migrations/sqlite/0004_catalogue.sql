-- The catalogue as it is checked and watched, and what was promised to leave.

-- What active items of one shop must not share. Kept beside the records so that a twin is found without reading them all.
CREATE TABLE product_marks (
    brand      TEXT NOT NULL,         -- whose
    connection TEXT NOT NULL,         -- of which shop
    mark       TEXT NOT NULL CHECK (mark IN ('alike', 'barcode')), -- SKUs that are easily taken for one another; barcodes
    value      TEXT NOT NULL,         -- what they share
    item       TEXT NOT NULL,         -- the shop's id of the item
    sku        TEXT NOT NULL,         -- its SKU
    PRIMARY KEY (brand, connection, mark, value, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX product_marks_by_item ON product_marks (brand, connection, item);

-- Fields that somebody changed at a target and that stand there, by policy, until the source's own value changes.
CREATE TABLE product_accepted (
    brand      TEXT NOT NULL,
    flow       TEXT NOT NULL,         -- on the way to which target
    key        TEXT NOT NULL,         -- our key of the product
    field      TEXT NOT NULL,         -- which field
    at         INTEGER NOT NULL,      -- when it was accepted
    ours       BLOB NOT NULL,         -- packed: the product as its source had it then
    theirs     BLOB NOT NULL,         -- packed: the product as the target had it
    PRIMARY KEY (brand, flow, key, field)
) STRICT, WITHOUT ROWID;

-- Our key for their id: what a target lists is found by it.
CREATE INDEX bindings_by_external ON bindings (brand, connection, kind, external_id);

-- Orders that a warehouse has and that have not left whole.
CREATE TABLE promises (
    brand        TEXT NOT NULL,
    flow         TEXT NOT NULL,       -- the flow that brought the order to its warehouse
    key          TEXT NOT NULL,       -- our key of the order
    dispatch_by  INTEGER,             -- by when all of it is promised to have left; none when nobody promised
    look_at      INTEGER,             -- when it is looked at next; none when only news of a shipment can change anything
    ordered      INTEGER NOT NULL,    -- units that this warehouse has to ship
    shipped      INTEGER NOT NULL DEFAULT 0, -- of these, units that it says have left
    exception_id INTEGER REFERENCES exceptions (id), -- who owns that it is late or short
    amount_minor INTEGER,             -- what the order is worth
    currency     TEXT,
    PRIMARY KEY (brand, flow, key),
    CHECK ((amount_minor IS NULL) = (currency IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX promises_due ON promises (brand, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX promises_by_exception ON promises (exception_id) WHERE exception_id IS NOT NULL;

-- What the planner may assume of them: see 0003.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl IN ('bindings', 'product_marks', 'promises');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('bindings', 'bindings',                     '1000000 1000000 300000 3 1'),
    ('bindings', 'bindings_by_external',         '1000000 1000000 300000 100000 1'),
    ('product_marks', 'product_marks',           '100000 100000 100000 50000 1 1'),
    ('product_marks', 'product_marks_by_item',   '100000 100000 100000 2'),
    ('promises', 'promises',                     '10000 10000 5000 1'),
    ('promises', 'promises_due',                 '10000 10000 2'),
    ('promises', 'promises_by_exception',        '1000 100');
ANALYZE sqlite_schema;
