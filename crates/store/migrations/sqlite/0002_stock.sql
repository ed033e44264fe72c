-- Stock: what the source states, what the target shows, and what is still under way between them.
-- A level is a state, not a document: only the newest counts, so there is one row for it and no revisions.

-- The newest level of each item at each place of the source, as far as it differs from the one before.
CREATE TABLE stock_levels (
    brand        TEXT NOT NULL,       -- whose
    flow         TEXT NOT NULL,       -- in which stock flow
    location     TEXT NOT NULL,       -- the source's place
    sku          TEXT NOT NULL,       -- compared byte for byte
    item         TEXT NOT NULL,       -- the source's id of the item
    on_hand      INTEGER NOT NULL,
    committed    INTEGER NOT NULL,
    back_ordered INTEGER NOT NULL,
    pending_approval INTEGER NOT NULL, -- asked for by orders that are not approved: promised by nobody yet
    available    INTEGER NOT NULL,    -- as the source itself states it
    incoming     INTEGER NOT NULL,
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    as_of        INTEGER NOT NULL,    -- everything until then is in the figures: an older one never overwrites
    changed_at   INTEGER,             -- when the source says that they changed
    rose_at      INTEGER NOT NULL,    -- as of when more was left than before, for the last time
    via          TEXT NOT NULL,       -- which way they came: shows what a way missed
    takings      INTEGER NOT NULL DEFAULT 0, -- thousandths of times that other channels took some, fading with time
    taken_units  INTEGER NOT NULL DEFAULT 0, -- the same of the units
    taken_squares INTEGER NOT NULL DEFAULT 0, -- the same of their squares: how uneven it is
    faded_at     INTEGER NOT NULL,    -- as of when they have faded
    known_since  INTEGER NOT NULL,    -- since when the item is watched here
    doubted      INTEGER NOT NULL DEFAULT 0 CHECK (doubted IN (0, 1)), -- a later reading was kept back: not proven beyond as_of
    PRIMARY KEY (brand, flow, location, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_levels_by_sku ON stock_levels (brand, flow, sku);
CREATE INDEX stock_levels_doubted ON stock_levels (brand, flow, as_of) WHERE doubted = 1;

-- Rows of a reading that waits for a person: it would have moved too much.
CREATE TABLE stock_held_levels (
    brand        TEXT NOT NULL,
    flow         TEXT NOT NULL,
    location     TEXT NOT NULL,
    sku          TEXT NOT NULL,
    level        BLOB NOT NULL,       -- packed: the level as JSON
    as_of        INTEGER NOT NULL,
    exception_id INTEGER NOT NULL REFERENCES exceptions (id), -- what holds it
    accepted     INTEGER NOT NULL DEFAULT 0 CHECK (accepted IN (0, 1)), -- a person let it through
    PRIMARY KEY (brand, flow, location, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_held_by_exception ON stock_held_levels (exception_id);

-- What each place of the target shows of each item, and what is owed to it.
CREATE TABLE stock_figures (
    brand          TEXT NOT NULL,
    flow           TEXT NOT NULL,
    place          TEXT NOT NULL,     -- the target's place
    sku            TEXT NOT NULL,
    item           TEXT NOT NULL,     -- the target's id of the item
    active         INTEGER NOT NULL CHECK (active IN (0, 1)),
    value_minor    INTEGER,           -- what a unit is worth
    value_currency TEXT,
    categories     TEXT NOT NULL,     -- JSON list of names, for buffers
    state          TEXT NOT NULL CHECK (state IN ('due', 'sending', 'agreed', 'held', 'left')), -- left: nobody keeps it for us
    rank           INTEGER NOT NULL,  -- what is looked at first: 0 what the source moved, 1 the rest
    why            TEXT NOT NULL,     -- what made it due last: moved, listed, buffer, read_back
    version        INTEGER NOT NULL DEFAULT 1, -- grows each time it becomes due: what was worked out before is not the last word
    due_at         INTEGER,           -- when it is looked at; none when nothing is owed
    stale_since    INTEGER,           -- since when the figure shown may be wrong; none when it is right
    shown_units    INTEGER NOT NULL,  -- what the target kept when it was last read
    shown_promised INTEGER NOT NULL,  -- how many of them it had promised
    shown_at       INTEGER NOT NULL,  -- when that was
    sent_units     INTEGER,           -- the figure last written
    sent_at        INTEGER,           -- when
    unsure_until   INTEGER,           -- until when a write whose answer was lost may still come in
    as_of          INTEGER,           -- of the level behind it: an older one is never written after it
    net            INTEGER,           -- the terms of the figure: what the source had left
    not_taken_in   INTEGER,           -- units of orders that the source had not taken in
    buffer         INTEGER,           -- units kept back
    buffer_rule    TEXT,              -- by which rule
    attempts       INTEGER NOT NULL DEFAULT 0, -- writes in a row that did not come out
    exception_id   INTEGER REFERENCES exceptions (id), -- what holds it
    seen_pass      INTEGER NOT NULL,  -- the read-back that saw it last
    PRIMARY KEY (brand, flow, place, sku),
    CHECK ((due_at IS NOT NULL) = (state IN ('due', 'sending'))),
    CHECK (state <> 'held' OR exception_id IS NOT NULL),
    CHECK ((value_minor IS NULL) = (value_currency IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_figures_due ON stock_figures (brand, flow, state, rank, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX stock_figures_by_sku ON stock_figures (brand, flow, sku);
CREATE INDEX stock_figures_by_exception ON stock_figures (exception_id) WHERE exception_id IS NOT NULL;
CREATE INDEX stock_figures_by_state ON stock_figures (brand, flow, place, state, stale_since);

-- Units of orders that the source has not taken in, or not long enough ago for its figures to show it.
CREATE TABLE stock_demand (
    brand        TEXT NOT NULL,
    flow         TEXT NOT NULL,       -- the stock flow
    key          TEXT NOT NULL,       -- the order's
    sku          TEXT NOT NULL,
    market       TEXT NOT NULL,       -- which places it draws from
    wanted       INTEGER NOT NULL,    -- by the newest revision, if it still wants them
    seen_at      INTEGER NOT NULL,    -- since when we know that it wants so many
    wanted_before INTEGER NOT NULL DEFAULT 0, -- before it wanted less: what was looked at earlier may still have it
    lowered_at   INTEGER,             -- since when we know that it wants less
    taken_before INTEGER NOT NULL DEFAULT 0, -- by the source, before the last time it took some
    taken        INTEGER NOT NULL DEFAULT 0, -- by the source
    took         INTEGER NOT NULL DEFAULT 0, -- how many the last time
    taken_at     INTEGER,             -- when it last took some
    PRIMARY KEY (brand, flow, key, sku)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_demand_by_sku ON stock_demand (brand, flow, sku, taken_at);
CREATE INDEX stock_demand_taken ON stock_demand (brand, flow, taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX stock_demand_gone ON stock_demand (brand, flow, lowered_at) WHERE wanted = 0;

-- What moved at the source, and how much of it our own orders explain. Pruned by age and number.
CREATE TABLE stock_moves (
    id       INTEGER PRIMARY KEY,
    brand    TEXT NOT NULL,
    flow     TEXT NOT NULL,
    location TEXT NOT NULL,
    sku      TEXT NOT NULL,
    at       INTEGER NOT NULL,        -- as of
    before   INTEGER NOT NULL,        -- what was left
    after    INTEGER NOT NULL,        -- what is left
    own      INTEGER NOT NULL,        -- units of it that our orders took
    via      TEXT NOT NULL
) STRICT;
CREATE INDEX stock_moves_by_sku ON stock_moves (brand, flow, sku, id);

-- Items that are put together from others when they are sold.
CREATE TABLE stock_kits (
    brand TEXT NOT NULL,
    flow  TEXT NOT NULL,
    sku   TEXT NOT NULL,              -- the kit
    part  TEXT NOT NULL,              -- one of its parts
    units INTEGER NOT NULL CHECK (units > 0),
    PRIMARY KEY (brand, flow, sku, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_kits_by_part ON stock_kits (brand, flow, part);

-- Until when everything is known, per place of the source.
CREATE TABLE stock_locations (
    brand       TEXT NOT NULL,
    flow        TEXT NOT NULL,
    location    TEXT NOT NULL,
    proven_at   INTEGER,              -- as of when every level that is not newer is right; none before the first whole snapshot
    snapshot_at INTEGER,              -- when it was last read whole
    rows        INTEGER NOT NULL DEFAULT 0, -- how many items it then had
    PRIMARY KEY (brand, flow, location)
) STRICT, WITHOUT ROWID;

-- What a stock flow has to remember as a whole.
CREATE TABLE stock_flows (
    brand        TEXT NOT NULL,
    flow         TEXT NOT NULL,
    demand_since INTEGER,             -- since when orders not taken in are counted
    read_back_at INTEGER,             -- when everything was last read back
    pass         INTEGER NOT NULL DEFAULT 0, -- number of the read-back under way
    cursor       TEXT,                -- where it goes on
    kits_at      INTEGER,             -- when the kits were last read
    draws        TEXT NOT NULL DEFAULT '{}', -- JSON: from which places each market draws
    window_ms    INTEGER,             -- measured: how long a figure shown may be wrong after a change
    PRIMARY KEY (brand, flow)
) STRICT, WITHOUT ROWID;

-- Differences that nothing under way explained. Pruned by number.
CREATE TABLE stock_drifts (
    id             INTEGER PRIMARY KEY,
    brand          TEXT NOT NULL,
    flow           TEXT NOT NULL,
    place          TEXT NOT NULL,
    sku            TEXT NOT NULL,
    found_at       INTEGER NOT NULL,
    cause          TEXT NOT NULL,
    expected       INTEGER NOT NULL,  -- units that should have stood there
    shown          INTEGER NOT NULL,  -- units that did
    exception_id   INTEGER NOT NULL REFERENCES exceptions (id),
    settled_at     INTEGER            -- when both sides were equal again
) STRICT;
CREATE INDEX stock_drifts_by_row ON stock_drifts (brand, flow, place, sku) WHERE settled_at IS NULL;
CREATE INDEX stock_drifts_by_exception ON stock_drifts (exception_id);
