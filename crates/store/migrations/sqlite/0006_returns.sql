-- What comes back: of which sale, how much of it, and whether both halves are there.

-- Orders by who bought: a credit that names no order is linked to what its buyer bought.
CREATE TABLE bought (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,         -- of which shop
    buyer      TEXT NOT NULL,         -- the shop's id of the shopper
    order_key  TEXT NOT NULL,         -- our key of the order
    PRIMARY KEY (brand, connection, buyer, order_key)
) STRICT, WITHOUT ROWID;

-- Something of which parts are given back at a target: a line of an order in goods or in credits, a credit note in refunds.
-- The database itself sees to it that no more is given back than there is.
CREATE TABLE wholes (
    brand       TEXT NOT NULL,
    at          TEXT NOT NULL,        -- the target where the parts stand
    kind        TEXT NOT NULL CHECK (kind IN ('return', 'credit_note', 'refund')), -- of which kind its parts are
    owner       TEXT NOT NULL,        -- our key of the order, or of the credit note
    line        TEXT NOT NULL,        -- the source's id of the line; a word with a colon for what is no line
    currency    TEXT NOT NULL,
    units       INTEGER NOT NULL,     -- all there is
    net_minor   INTEGER NOT NULL,
    tax_minor   INTEGER NOT NULL,
    taken_units INTEGER NOT NULL DEFAULT 0, -- the sum of its parts
    taken_net   INTEGER NOT NULL DEFAULT 0,
    taken_tax   INTEGER NOT NULL DEFAULT 0,
    stated      INTEGER NOT NULL DEFAULT 0 CHECK (stated IN (0, 1)), -- 1 = the source of the parts sets their money itself: only units are held against the whole
    PRIMARY KEY (brand, at, kind, owner, line),
    CHECK (units >= 0 AND taken_units >= 0 AND taken_units <= units),
    CHECK (stated = 1 OR (taken_net <= net_minor AND taken_tax <= tax_minor))
) STRICT, WITHOUT ROWID;

-- The parts, by the record that gives them back.
CREATE TABLE parts (
    brand     TEXT NOT NULL,
    at        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL,          -- our key of the return, credit note or refund
    owner     TEXT NOT NULL,
    line      TEXT NOT NULL,
    flow      TEXT NOT NULL,          -- the flow that brings the record there: it lets them go when the record is dismissed
    place     INTEGER NOT NULL,       -- which line of the record, counted from 0
    units     INTEGER NOT NULL CHECK (units >= 0),
    net_minor INTEGER NOT NULL,
    tax_minor INTEGER NOT NULL,
    PRIMARY KEY (brand, at, kind, key, place, owner, line),
    FOREIGN KEY (brand, at, kind, owner, line) REFERENCES wholes (brand, at, kind, owner, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_by_whole ON parts (brand, at, kind, owner, line);
CREATE INDEX parts_by_record ON parts (brand, kind, key);

-- Returns whose halves are watched: goods, credit, money.
CREATE TABLE halves (
    brand        TEXT NOT NULL,
    connection   TEXT NOT NULL,       -- who tells of it
    key          TEXT NOT NULL,       -- our key of the credit note, and of the return where there is one
    look_at      INTEGER,             -- when it is looked at next; none when only news of it can change anything
    let_go       INTEGER NOT NULL DEFAULT 0 CHECK (let_go IN (0, 1)), -- a person said that nothing more will come
    exception_id INTEGER REFERENCES exceptions (id), -- who owns that a half is missing
    amount_minor INTEGER,             -- the money that hangs on it
    currency     TEXT,
    PRIMARY KEY (brand, connection, key),
    CHECK ((amount_minor IS NULL) = (currency IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX halves_due ON halves (brand, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX halves_by_exception ON halves (exception_id) WHERE exception_id IS NOT NULL;

-- What the planner may assume of them: see 0003.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl IN ('bought', 'wholes', 'parts', 'halves');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('bought', 'bought',               '1000000 1000000 1000000 3 1'),
    ('wholes', 'wholes',               '300000 300000 300000 100000 3 1'),
    ('parts', 'parts',                 '300000 300000 300000 100000 3 1 1 1'),
    ('parts', 'parts_by_whole',        '300000 300000 300000 100000 3 2'),
    ('parts', 'parts_by_record',       '300000 300000 100000 3'),
    ('halves', 'halves',               '100000 100000 100000 1'),
    ('halves', 'halves_due',           '10000 10000 2'),
    ('halves', 'halves_by_exception',  '1000 100');
ANALYZE sqlite_schema;
