-- What both ends say stands there, and on what they disagree.

-- One look at both ends of a pair over a window.
CREATE TABLE reconciliations (
    id          INTEGER PRIMARY KEY,  -- rcn_…
    brand       TEXT NOT NULL,        -- whose
    pair        TEXT NOT NULL,        -- shop-erp: which two ends
    sources     TEXT NOT NULL,        -- the connections whose records they are, with a comma between
    target      TEXT NOT NULL,        -- the connection in which they have to stand
    via         TEXT NOT NULL,        -- timer, demand, audit, or the period that it is for
    from_at     INTEGER NOT NULL,     -- the window: every document of the source that came to be in it gets a verdict
    to_at       INTEGER NOT NULL CHECK (from_at < to_at),
    until_at    INTEGER NOT NULL,     -- both ends are read up to here: partners may come to be after the window
    back_at     INTEGER NOT NULL,     -- and from here on
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,              -- none while it is being read
    red         INTEGER NOT NULL DEFAULT 0, -- differences found; never changed later, whatever is mended
    balanced    INTEGER CHECK (balanced IN (0, 1)), -- whether counts and sums met
    told        BLOB                  -- packed: the tallies, as JSON; none while it is being read
) STRICT;
CREATE INDEX reconciliations_by_pair ON reconciliations (brand, pair, id);

-- How far each end was read.
CREATE TABLE statements (
    run_id  INTEGER NOT NULL REFERENCES reconciliations (id),
    side    INTEGER NOT NULL CHECK (side IN (0, 1)), -- 0 the sources, 1 the target
    connection TEXT NOT NULL,         -- who told it
    kind    TEXT NOT NULL,
    cursor  TEXT,                     -- where it goes on; opaque
    whole   INTEGER NOT NULL DEFAULT 0 CHECK (whole IN (0, 1)),
    pages   INTEGER NOT NULL DEFAULT 0,
    entries INTEGER NOT NULL DEFAULT 0, -- documents told
    unread  BLOB,                     -- packed: documents that are there and could not be read, as JSON; none when there are none
    digest  BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE3 over the digest before and the page: evidence of what was told
    PRIMARY KEY (run_id, side, connection, kind)
) STRICT, WITHOUT ROWID;

-- What stands there. In the order of families, so that both ends lie side by side and one look reads them merged.
CREATE TABLE statement_entries (
    run_id      INTEGER NOT NULL REFERENCES reconciliations (id),
    family      TEXT NOT NULL,        -- the order; for what is about none its own key, or ~ and its id
    side        INTEGER NOT NULL CHECK (side IN (0, 1)),
    kind        TEXT NOT NULL,
    connection  TEXT NOT NULL,        -- who told it
    external_id TEXT NOT NULL,        -- their id: a document that two pages tell is one
    body        BLOB NOT NULL,        -- packed: the entry as JSON
    PRIMARY KEY (run_id, family, side, kind, connection, external_id)
) STRICT, WITHOUT ROWID;

-- On what they disagree. A row is closed by the run that saw it agree, and never removed; when it comes again it is a new row.
CREATE TABLE differences (
    id           INTEGER PRIMARY KEY, -- dif_…
    brand        TEXT NOT NULL,
    pair         TEXT NOT NULL,
    kind         TEXT NOT NULL,       -- of the document
    subject      TEXT NOT NULL,       -- our key; the target's id behind a ~ where only the target has it
    family       TEXT NOT NULL,       -- the order
    cause        TEXT NOT NULL,       -- what kind of disagreement
    why          TEXT NOT NULL,       -- how it probably came about
    path         TEXT NOT NULL,       -- where in the document
    expected     TEXT,                -- what the source says
    actual       TEXT,                -- what the target says
    money_minor  INTEGER,             -- what it moves: target minus source
    stake_minor  INTEGER,             -- what is at stake, never below nought
    currency     TEXT,                -- of both
    source       TEXT,                -- which of the sources has it
    source_id    TEXT,                -- their ids of the documents
    target_id    TEXT,
    at           INTEGER NOT NULL,    -- when the document came to be: in whose window it is looked for again
    team         TEXT NOT NULL,       -- who owns it
    exception_id INTEGER REFERENCES exceptions (id), -- what groups it with others of its root cause
    detail       TEXT NOT NULL,       -- in a sentence
    fix          TEXT NOT NULL,       -- what to do
    suggestion   TEXT,                -- what may belong to it, and how sure that is
    first_seen_at INTEGER NOT NULL,
    first_run    INTEGER NOT NULL REFERENCES reconciliations (id),
    last_seen_at INTEGER NOT NULL,
    last_run     INTEGER NOT NULL REFERENCES reconciliations (id),
    closed_at    INTEGER,             -- none while it is open
    closed_why   TEXT,                -- on what evidence
    CHECK ((money_minor IS NULL AND stake_minor IS NULL) OR currency IS NOT NULL),
    CHECK ((closed_at IS NULL) = (closed_why IS NULL))
) STRICT;
CREATE UNIQUE INDEX differences_open ON differences (brand, pair, kind, subject, cause, path) WHERE closed_at IS NULL;
CREATE INDEX differences_by_age ON differences (brand, pair, at) WHERE closed_at IS NULL;
CREATE INDEX differences_by_exception ON differences (exception_id) WHERE exception_id IS NOT NULL AND closed_at IS NULL;
CREATE INDEX differences_by_family ON differences (brand, family);
