-- Running counts: what was captured and what has settled is known from a few rows, however many years it is over. Each table keeps its
-- own, so that a row which is lost from one of them still shows as a difference.

CREATE TABLE record_counts (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    number     INTEGER NOT NULL,      -- revisions that came
    PRIMARY KEY (brand, connection, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO record_counts (brand, connection, kind, number) SELECT brand, connection, kind, count(*) FROM records GROUP BY 1, 2, 3;

CREATE TRIGGER records_counted AFTER INSERT ON records
BEGIN
    INSERT INTO record_counts (brand, connection, kind, number) VALUES (NEW.brand, NEW.connection, NEW.kind, 1)
    ON CONFLICT (brand, connection, kind) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER records_counted_off AFTER DELETE ON records
BEGIN
    UPDATE record_counts SET number = number - 1 WHERE brand = OLD.brand AND connection = OLD.connection AND kind = OLD.kind;
END;

-- What is under way is few, and counted where it stands.
CREATE TABLE settled_counts (
    brand  TEXT NOT NULL,
    flow   TEXT NOT NULL,
    state  TEXT NOT NULL,             -- a settled one
    number INTEGER NOT NULL,          -- obligations in it
    PRIMARY KEY (brand, flow, state)
) STRICT, WITHOUT ROWID;

INSERT INTO settled_counts (brand, flow, state, number)
SELECT brand, flow, state, count(*) FROM obligations WHERE settled_at IS NOT NULL GROUP BY 1, 2, 3;

CREATE TRIGGER obligations_settled_counted AFTER UPDATE OF state ON obligations WHEN NEW.settled_at IS NOT NULL AND OLD.state <> NEW.state
BEGIN
    INSERT INTO settled_counts (brand, flow, state, number) VALUES (NEW.brand, NEW.flow, NEW.state, 1)
    ON CONFLICT (brand, flow, state) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER obligations_settled_counted_off AFTER UPDATE OF state ON obligations WHEN OLD.settled_at IS NOT NULL AND OLD.state <> NEW.state
BEGIN
    UPDATE settled_counts SET number = number - 1 WHERE brand = OLD.brand AND flow = OLD.flow AND state = OLD.state;
END;
-- Neither happens in the product; whoever does it beside the product is counted, too. (Not so a REPLACE, nor another flow or brand.)
CREATE TRIGGER obligations_added_counted AFTER INSERT ON obligations WHEN NEW.settled_at IS NOT NULL
BEGIN
    INSERT INTO settled_counts (brand, flow, state, number) VALUES (NEW.brand, NEW.flow, NEW.state, 1)
    ON CONFLICT (brand, flow, state) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER obligations_deleted_counted AFTER DELETE ON obligations WHEN OLD.settled_at IS NOT NULL
BEGIN
    UPDATE settled_counts SET number = number - 1 WHERE brand = OLD.brand AND flow = OLD.flow AND state = OLD.state;
END;

-- Where the figures of stock stand, and how many units shoppers can buy: read from here alone.
DROP INDEX stock_figures_by_state;
CREATE INDEX stock_figures_by_state ON stock_figures (brand, flow, place, state, stale_since, shown_units, shown_promised);
DELETE FROM sqlite_stat1 WHERE tbl = 'stock_figures' AND idx = 'stock_figures_by_state';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('stock_figures', 'stock_figures_by_state', '100000 100000 100000 20000 4000 10 5 2');
ANALYZE sqlite_schema;
