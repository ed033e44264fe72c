-- Flows that a person has paused, and how much each flow brought, by hour.

-- A row while a flow is paused; who paused and resumed it when stands in the audit trail.
CREATE TABLE flow_pauses (
    brand  TEXT NOT NULL,
    flow   TEXT NOT NULL,             -- the flow, one of stock among them
    at     INTEGER NOT NULL,          -- since when
    actor  TEXT NOT NULL,             -- who paused it
    reason TEXT NOT NULL,             -- why
    PRIMARY KEY (brand, flow)
) STRICT, WITHOUT ROWID;

-- Rows confirmed (or compared, in shadow mode) by the hour: what the charts show, without counting the obligations of days.
CREATE TABLE flow_hours (
    brand TEXT NOT NULL,
    flow  TEXT NOT NULL,
    hour  INTEGER NOT NULL CHECK (hour % 3600000000 = 0), -- when the hour begins
    done  INTEGER NOT NULL CHECK (done > 0), -- one that goes through once more counts once more
    PRIMARY KEY (brand, flow, hour)
) STRICT, WITHOUT ROWID;

INSERT INTO flow_hours (brand, flow, hour, done)
SELECT brand, flow, settled_at - settled_at % 3600000000, count(*) FROM obligations
WHERE state IN ('confirmed', 'compared') AND settled_at >= (SELECT coalesce(max(captured_at), 0) FROM obligations) - 40 * 86400000000
GROUP BY 1, 2, 3;

CREATE TRIGGER flow_hours_counted AFTER UPDATE OF state ON obligations
WHEN NEW.state IN ('confirmed', 'compared') AND OLD.state <> NEW.state AND NEW.settled_at IS NOT NULL
BEGIN
    INSERT INTO flow_hours (brand, flow, hour, done) VALUES (NEW.brand, NEW.flow, NEW.settled_at - NEW.settled_at % 3600000000, 1)
    ON CONFLICT (brand, flow, hour) DO UPDATE SET done = done + 1;
END;
-- Forty days are kept.
CREATE TRIGGER flow_hours_bounded AFTER INSERT ON flow_hours
BEGIN DELETE FROM flow_hours WHERE brand = NEW.brand AND flow = NEW.flow AND hour < NEW.hour - 40 * 86400000000; END;
