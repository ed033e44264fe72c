-- The exception desk: whose it is, what it comes to, what was done about it.
--
-- What an exception holds is weighed by the engine and kept here, so that a ranked list is one stretch of an index
-- however many there are. Whatever moves a held row marks its exception (`weigh_at` = 0) through the triggers below;
-- nobody who moves one has to think of it.

ALTER TABLE exceptions ADD COLUMN team TEXT;             -- the team that owns it; none until it was first weighed
ALTER TABLE exceptions ADD COLUMN person TEXT;           -- who in that team; none while it is the whole team's
ALTER TABLE exceptions ADD COLUMN handed_over INTEGER NOT NULL DEFAULT 0 CHECK (handed_over IN (0, 1)); -- 1 = a person gave it away: the rules of the config have no say any more
ALTER TABLE exceptions ADD COLUMN records INTEGER NOT NULL DEFAULT 0;   -- how much it held when it was weighed
ALTER TABLE exceptions ADD COLUMN customers INTEGER NOT NULL DEFAULT 0; -- people behind these
ALTER TABLE exceptions ADD COLUMN money TEXT NOT NULL DEFAULT '{}';     -- what these are worth: JSON, minor units by currency, so that it can be summed here
ALTER TABLE exceptions ADD COLUMN behind INTEGER NOT NULL DEFAULT 0 CHECK (behind IN (0, 1)); -- 1 = records, customers and money are of what waits behind it (a connection in trouble), not of what it holds
ALTER TABLE exceptions ADD COLUMN deadline_at INTEGER;   -- when it costs more
ALTER TABLE exceptions ADD COLUMN deadline_kind TEXT CHECK (deadline_kind IN ('dispatch', 'cutoff', 'capture', 'month_end')); -- what happens then
ALTER TABLE exceptions ADD COLUMN impact INTEGER NOT NULL DEFAULT 0;    -- by what open ones are ranked; the formula is model::impact
ALTER TABLE exceptions ADD COLUMN weigh_at INTEGER DEFAULT 0; -- 0 = something of it has moved, 1 = it is being weighed, later: when time alone changes it; none = nothing will
ALTER TABLE exceptions ADD COLUMN weighed_at INTEGER;    -- when it was last weighed: a large one is weighed less often
ALTER TABLE exceptions ADD COLUMN told_records INTEGER NOT NULL DEFAULT 0; -- how much it held when its history last said so: growth is told by doubling
ALTER TABLE exceptions ADD COLUMN snoozed_until INTEGER; -- listed apart until then
ALTER TABLE exceptions ADD COLUMN snoozed_why TEXT;      -- for what reason
ALTER TABLE exceptions ADD COLUMN snoozed_records INTEGER NOT NULL DEFAULT 0; -- how much it held then: twice as much wakes it
ALTER TABLE exceptions ADD COLUMN release_stage TEXT CHECK (release_stage IN ('canary', 'rest')); -- what of it is on its way first; none = nothing is being released step by step
ALTER TABLE exceptions ADD COLUMN release_by TEXT;       -- who asked for that
ALTER TABLE exceptions ADD COLUMN release_until INTEGER; -- only what was held by then goes along; what comes later is the next release's

-- Open ones that are due to be weighed; few, as time alone seldom changes one.
CREATE INDEX exceptions_to_weigh ON exceptions (brand, weigh_at) WHERE open = 1 AND weigh_at IS NOT NULL;
-- The desk, page by page.
CREATE INDEX exceptions_ranked ON exceptions (brand, impact, id) WHERE open = 1 AND snoozed_until IS NULL;
-- What is snoozed, the next to wake first; also what wakes it.
CREATE INDEX exceptions_snoozed ON exceptions (brand, snoozed_until, id) WHERE open = 1 AND snoozed_until IS NOT NULL;
-- The history, newest first.
CREATE INDEX exceptions_closed ON exceptions (brand, closed_at, id) WHERE open = 0;
-- What waits for a mapping that was set just now, and the same cause in other flows.
CREATE INDEX exceptions_by_cause ON exceptions (brand, cause) WHERE open = 1;
-- What is being released step by step.
CREATE INDEX exceptions_releasing ON exceptions (brand, id) WHERE release_stage IS NOT NULL;

CREATE TRIGGER exceptions_marked_by_obligations AFTER UPDATE OF state, exception_id ON obligations
WHEN (OLD.exception_id IS NOT NULL OR NEW.exception_id IS NOT NULL) AND (OLD.exception_id IS NOT NEW.exception_id OR OLD.state <> NEW.state)
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id IN (OLD.exception_id, NEW.exception_id) AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_figures AFTER UPDATE OF state, exception_id ON stock_figures
WHEN (OLD.exception_id IS NOT NULL OR NEW.exception_id IS NOT NULL) AND (OLD.exception_id IS NOT NEW.exception_id OR OLD.state <> NEW.state)
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id IN (OLD.exception_id, NEW.exception_id) AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_figures_gone AFTER DELETE ON stock_figures WHEN OLD.exception_id IS NOT NULL
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id = OLD.exception_id; END;
CREATE TRIGGER exceptions_marked_by_levels AFTER INSERT ON stock_held_levels
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id = NEW.exception_id AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_levels_moved AFTER UPDATE OF exception_id ON stock_held_levels
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id IN (OLD.exception_id, NEW.exception_id); END;
CREATE TRIGGER exceptions_marked_by_levels_gone AFTER DELETE ON stock_held_levels
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id = OLD.exception_id AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_promises AFTER UPDATE OF exception_id, amount_minor ON promises
WHEN OLD.exception_id IS NOT NULL OR NEW.exception_id IS NOT NULL
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id IN (OLD.exception_id, NEW.exception_id) AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_promises_gone AFTER DELETE ON promises WHEN OLD.exception_id IS NOT NULL
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id = OLD.exception_id AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_halves AFTER UPDATE OF exception_id, amount_minor ON halves
WHEN OLD.exception_id IS NOT NULL OR NEW.exception_id IS NOT NULL
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id IN (OLD.exception_id, NEW.exception_id) AND weigh_at IS NOT 0; END;
CREATE TRIGGER exceptions_marked_by_halves_gone AFTER DELETE ON halves WHEN OLD.exception_id IS NOT NULL
BEGIN UPDATE exceptions SET weigh_at = 0 WHERE id = OLD.exception_id AND weigh_at IS NOT 0; END;

-- What became of each exception, line by line.
CREATE TABLE exception_events (
    id           INTEGER PRIMARY KEY, -- grows: what came after what
    brand        TEXT NOT NULL,       -- whose
    exception_id INTEGER NOT NULL REFERENCES exceptions (id),
    at           INTEGER NOT NULL,    -- when
    kind         TEXT NOT NULL CHECK (kind IN ('opened', 'grew', 'handed_over', 'commented', 'snoozed', 'woke', 'released', 'canary_sent',
                                               'canary_passed', 'surprise', 'dismissed', 'mapped', 'edited', 'closed', 'reopened')),
    actor        TEXT NOT NULL,       -- who; empty for the engine
    detail       TEXT NOT NULL        -- in a sentence, bounded
) STRICT;
-- The history of one.
CREATE INDEX exception_events_by_exception ON exception_events (exception_id, id);
-- Everything new of a brand.
CREATE INDEX exception_events_by_brand ON exception_events (brand, id);

-- What of an exception was released step by step and has not settled: what is watched.
CREATE TABLE release_watches (
    exception_id  INTEGER NOT NULL REFERENCES exceptions (id),
    obligation_id INTEGER NOT NULL REFERENCES obligations (id),
    PRIMARY KEY (exception_id, obligation_id)
) STRICT, WITHOUT ROWID;

-- The last exchange with the target of a write that was not taken: evidence for whoever looks into it. One for each
-- obligation, gone when that settles.
CREATE TABLE exchanges (
    obligation_id INTEGER PRIMARY KEY REFERENCES obligations (id),
    at            INTEGER NOT NULL,   -- when it was answered, or was not
    body          BLOB NOT NULL       -- packed: request and answer as JSON, redacted and cut by the connector layer
) STRICT;
CREATE TRIGGER exchanges_go_with_the_row AFTER UPDATE OF state ON obligations
WHEN NEW.settled_at IS NOT NULL AND NEW.state <> 'held'
BEGIN DELETE FROM exchanges WHERE obligation_id = NEW.id; END;

-- What a person changed of one order over what its source says; both versions are kept.
CREATE TABLE edits (
    id        INTEGER PRIMARY KEY,
    brand     TEXT NOT NULL,          -- whose
    key       TEXT NOT NULL,          -- our key of the order
    field     TEXT NOT NULL,          -- which field, as model::edit calls it
    before    TEXT,                   -- what the source said; none = nothing. When it says something else, the edit is over
    after     TEXT,                   -- what goes to the targets instead
    revision  INTEGER NOT NULL,       -- the revision that it was made over
    actor     TEXT NOT NULL,          -- who
    reason    TEXT NOT NULL,          -- why
    at        INTEGER NOT NULL,       -- when
    ended_at  INTEGER,                -- when it went out of force
    ended_why TEXT,                   -- by what
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
) STRICT;
-- One in force for each field.
CREATE UNIQUE INDEX edits_in_force ON edits (brand, key, field) WHERE ended_at IS NULL;
-- All that was edited of an order.
CREATE INDEX edits_by_order ON edits (brand, key);
