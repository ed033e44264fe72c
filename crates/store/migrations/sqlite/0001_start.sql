-- What arrived, what is owed, what is proven.
--
-- Times are whole microseconds since 1970-01-01 UTC, amounts whole minor units of a currency:
-- no column holds a binary fraction, and the tables are STRICT so that none can slip in.
-- Columns named `packed` hold one marker byte (0 = as it is, 1 = deflated) and the bytes.
-- Wide columns stand last: a look at a state does not read a body.

-- Raw documents as they came, before anyone tried to understand them.
CREATE TABLE captures (
    id          INTEGER PRIMARY KEY,  -- cap_…; grows with arrival
    brand       TEXT NOT NULL,        -- whose
    connection  TEXT NOT NULL,        -- through which connection
    kind        TEXT NOT NULL,        -- said to be of which kind
    external_id TEXT NOT NULL,        -- their id
    state       TEXT NOT NULL CHECK (state IN ('due', 'decoded', 'stale')), -- stale: older than what we had, kept as evidence only
    version     INTEGER,              -- their "as of", where they state one: tells stale from new
    received_at INTEGER NOT NULL,     -- start of every clock
    seen_at     INTEGER NOT NULL,     -- when the same bytes last came again: a notice heard before is answered by it
    seen_count  INTEGER NOT NULL DEFAULT 1, -- how often the same bytes came
    via         TEXT NOT NULL,        -- which way it came: shows what a way missed
    digest      BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE3 of the bytes: compares without unpacking
    body        BLOB NOT NULL         -- packed: the bytes
) STRICT;
-- The latest capture of a document, and its history.
CREATE INDEX captures_by_document ON captures (brand, connection, kind, external_id);
-- What waits to be decoded; empty most of the time.
CREATE INDEX captures_due ON captures (brand) WHERE state = 'due';

-- Webhook deliveries as they came; the same bytes twice are a replay.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,
    brand       TEXT NOT NULL,        -- whose
    connection  TEXT NOT NULL,        -- to which connection
    digest      BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE3 of the bytes: finds the replay
    received_at INTEGER NOT NULL,     -- when first
    seen_at     INTEGER NOT NULL,     -- when last
    seen_count  INTEGER NOT NULL DEFAULT 1, -- how often
    body        BLOB NOT NULL,        -- packed: the bytes
    UNIQUE (brand, connection, digest)
) STRICT;

-- Word that a document is new or has changed, until it was fetched.
CREATE TABLE notices (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: striking out a seen notice cannot strike one heard meanwhile
    brand         TEXT NOT NULL,      -- whose
    connection    TEXT NOT NULL,      -- at which connection
    kind          TEXT NOT NULL,      -- kind of document
    external_id   TEXT NOT NULL,      -- which document
    heard_at      INTEGER NOT NULL,   -- when first: the wait is counted from here
    heard_last_at INTEGER NOT NULL,   -- when last: only a capture after this answers it
    UNIQUE (brand, connection, kind, external_id) -- one pending notice per document is enough
) STRICT;
CREATE INDEX notices_by_age ON notices (brand, connection, heard_at);

-- Canonical records, one row per revision.
CREATE TABLE records (
    id           INTEGER PRIMARY KEY, -- rec_…
    brand        TEXT NOT NULL,       -- whose
    connection   TEXT NOT NULL,       -- from which connection
    kind         TEXT NOT NULL,       -- kind of record
    key          TEXT NOT NULL,       -- our key
    revision     INTEGER NOT NULL CHECK (revision > 0), -- counted from 1
    latest       INTEGER NOT NULL CHECK (latest IN (0, 1)), -- 1 on the newest revision only: lists show each record once
    form         TEXT NOT NULL CHECK (form IN ('order', 'customer', 'product', 'shipment', 'return', 'credit_note',
                                                  'refund', 'unreadable')), -- how the body reads
    order_key    TEXT,                -- the order that it is about; its own key for an order, none for what is about none
    capture_id   INTEGER REFERENCES captures (id), -- from which bytes; none for a record derived from another
    version      INTEGER,             -- their "as of"
    received_at  INTEGER NOT NULL,    -- when its bytes arrived: the window of the balance
    amount_minor INTEGER,             -- gross total of an order or credit note, amount of a refund, so that money can be summed here
    currency     TEXT,                -- of that amount
    digest       BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE3 of the content without its "as of": tells news from repetition
    who          TEXT NOT NULL,       -- the person, for lists
    search       TEXT NOT NULL,       -- key, names, e-mail and SKUs in lower case, bounded
    problems     BLOB,                -- packed: what decoding found, as JSON; none when nothing
    body         BLOB NOT NULL,       -- packed: the record as JSON
    UNIQUE (brand, kind, key, revision),
    CHECK ((amount_minor IS NULL) = (currency IS NULL))
) STRICT;
-- What was captured, counted without the help of the obligations.
CREATE INDEX records_arrived ON records (brand, connection, kind, received_at);
-- What is known of an order: its shipments, its returns.
CREATE INDEX records_by_order ON records (brand, order_key, kind) WHERE latest = 1 AND order_key IS NOT NULL;
-- The newest records of a kind, each once.
CREATE INDEX records_latest ON records (brand, kind) WHERE latest = 1;

-- What a person owns: one row per root cause in a flow, opened again when the cause returns.
CREATE TABLE exceptions (
    id            INTEGER PRIMARY KEY, -- exc_…
    brand         TEXT NOT NULL,       -- whose
    flow          TEXT NOT NULL,       -- in which flow; empty for one about a connection
    cause         TEXT NOT NULL,       -- the root cause, normalised: what groups them
    rule          TEXT NOT NULL,       -- the rule that found it first
    path          TEXT NOT NULL,       -- where in the record
    value         TEXT,                -- what stood there
    message       TEXT NOT NULL,       -- what is wrong
    remedy        TEXT NOT NULL,       -- what to do
    open          INTEGER NOT NULL CHECK (open IN (0, 1)), -- whether anyone has to look
    standing      INTEGER NOT NULL DEFAULT 0 CHECK (standing IN (0, 1)), -- 1 = stays open though it holds nothing (a connection in trouble)
    first_seen_at INTEGER NOT NULL,    -- when first met
    last_seen_at  INTEGER NOT NULL,    -- when last met
    closed_at     INTEGER,             -- when it closed
    closed_why    TEXT,                -- on what evidence
    UNIQUE (brand, flow, cause),
    CHECK (open = (closed_at IS NULL))
) STRICT;
CREATE INDEX exceptions_open ON exceptions (brand) WHERE open = 1;

-- What is owed: this revision must stand at that flow's target.
CREATE TABLE obligations (
    id           INTEGER PRIMARY KEY, -- obl_…
    brand        TEXT NOT NULL,       -- whose
    flow         TEXT NOT NULL,       -- in which flow
    kind         TEXT NOT NULL,       -- kind of record
    key          TEXT NOT NULL,       -- our key
    revision     INTEGER NOT NULL CHECK (revision > 0), -- which revision
    record_id    INTEGER NOT NULL REFERENCES records (id), -- the revision itself
    state        TEXT NOT NULL CHECK (state IN ('captured', 'cleared', 'sending', 'unanswered', 'delivered',
                                                'confirmed', 'compared', 'held', 'superseded', 'excluded', 'dismissed')),
    due_at       INTEGER,             -- when a verb looks at it next; none when settled or waiting for another
    captured_at  INTEGER NOT NULL,    -- start of its clock
    settled_at   INTEGER,             -- when it settled; none while in flight
    attempts     INTEGER NOT NULL DEFAULT 0, -- how often a write was tried
    retries      INTEGER NOT NULL DEFAULT 0, -- how often in a row the present step did not come through
    exception_id INTEGER REFERENCES exceptions (id), -- what holds it; after a release, what held it until it settles
    waits_for    INTEGER REFERENCES obligations (id), -- what must be confirmed first; on a held row: on whose account it is held
    amount_minor INTEGER,             -- of the record, for the money an exception holds
    currency     TEXT,                -- of that amount
    target       TEXT,                -- their id, once known
    note         TEXT,                -- why it is excluded or dismissed, or what it last met with
    mapped       BLOB,                -- packed: what the gate resolved, as JSON; none when nothing
    prepared     BLOB,                -- packed: the record as the gate made it ready for this target; none when it goes as it is
    prepared_form TEXT,               -- how that reads
    UNIQUE (brand, flow, key, revision),
    CHECK ((settled_at IS NULL) = (state IN ('captured', 'cleared', 'sending', 'unanswered', 'delivered'))),
    CHECK (due_at IS NULL OR settled_at IS NULL),
    -- Nothing in flight is forgotten: it has a time, or something to wait for.
    CHECK (settled_at IS NOT NULL OR due_at IS NOT NULL OR waits_for IS NOT NULL),
    -- Nothing is held that nobody owns.
    CHECK (state <> 'held' OR exception_id IS NOT NULL)
) STRICT;
-- Due rows by flow and state (a settled row has no due_at, so what is due is one stretch of the
-- index however many are settled), the balance, and the latency: all read from here alone.
CREATE INDEX obligations_by_state ON obligations (brand, flow, state, due_at, captured_at, settled_at);
-- What an exception holds, and how much money.
CREATE INDEX obligations_by_exception ON obligations (exception_id, state, currency, amount_minor) WHERE exception_id IS NOT NULL;
-- Who waits for a row.
CREATE INDEX obligations_waiting ON obligations (waits_for) WHERE waits_for IS NOT NULL;

-- What a flow in shadow mode found: one row per obligation that is compared.
CREATE TABLE comparisons (
    obligation_id INTEGER PRIMARY KEY REFERENCES obligations (id),
    verdict     TEXT NOT NULL CHECK (verdict IN ('equal', 'change', 'create')), -- what a live flow would have done
    at          INTEGER NOT NULL,     -- when it was looked at
    found_by    TEXT NOT NULL,        -- how the document was found; empty when none was
    body        BLOB NOT NULL         -- packed: the differences, as JSON
) STRICT;

-- The story of each obligation, line by line.
CREATE TABLE attempts (
    obligation_id INTEGER NOT NULL REFERENCES obligations (id),
    number        INTEGER NOT NULL,   -- counted from 1 within the obligation; one tree holds table and order
    at            INTEGER NOT NULL,   -- when
    verb          TEXT NOT NULL,      -- what was done
    outcome       TEXT NOT NULL,      -- what came of it, in a word
    detail        TEXT NOT NULL,      -- in a sentence, bounded
    PRIMARY KEY (obligation_id, number)
) STRICT, WITHOUT ROWID;

-- Which flow was given which line of an order: decided once, whatever the shelves say later.
CREATE TABLE routed (
    brand   TEXT NOT NULL,
    key     TEXT NOT NULL,            -- our key of the order
    line    TEXT NOT NULL,            -- the source's id of the line
    flow    TEXT NOT NULL,            -- who ships it
    route   TEXT NOT NULL,            -- by which route
    at      INTEGER NOT NULL,         -- when it was decided
    PRIMARY KEY (brand, key, line)
) STRICT, WITHOUT ROWID;

-- Our key and their id, per connection.
CREATE TABLE bindings (
    brand       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,        -- our key
    connection  TEXT NOT NULL,        -- at which connection
    external_id TEXT NOT NULL,        -- their id there
    bound_at    INTEGER NOT NULL,     -- when it was tied, or last moved
    PRIMARY KEY (brand, kind, key, connection)
) STRICT, WITHOUT ROWID;

-- Each reading that was proven whole, as a log; pruned to the newest, for the pages.
CREATE TABLE proven (
    id         INTEGER PRIMARY KEY,
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    via        TEXT NOT NULL,         -- which way it was read
    from_at    INTEGER NOT NULL,      -- first instant covered
    to_at      INTEGER NOT NULL,      -- first instant past the end
    seen       INTEGER NOT NULL,      -- how many documents it saw
    news       INTEGER NOT NULL,      -- how many of them were news
    proven_at  INTEGER NOT NULL       -- when it was proven
) STRICT;
CREATE INDEX proven_by_way ON proven (brand, connection, kind, via);

-- The same, merged into stretches that neither overlap nor touch: years of polling stay a few rows.
CREATE TABLE coverage (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    via        TEXT NOT NULL,
    from_at    INTEGER NOT NULL,
    to_at      INTEGER NOT NULL CHECK (from_at < to_at),
    PRIMARY KEY (brand, connection, kind, via, from_at)
) STRICT, WITHOUT ROWID;

-- How far a reading has come that is not whole yet: what was read stays read, whatever happens.
CREATE TABLE readings (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    via        TEXT NOT NULL,         -- which way it is read; one at a time
    from_at    INTEGER NOT NULL,      -- the interval it covers when it is whole
    to_at      INTEGER NOT NULL,
    cursor     TEXT NOT NULL,         -- where it goes on; opaque
    seen       INTEGER NOT NULL,      -- how many documents it saw so far
    news       INTEGER NOT NULL,      -- how many of them were news
    PRIMARY KEY (brand, connection, kind, via)
) STRICT, WITHOUT ROWID;

-- What we call a thing and what the target calls it. Text compares byte for byte.
CREATE TABLE mappings (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,         -- for which target
    tbl        TEXT NOT NULL,         -- which table
    key        TEXT NOT NULL,         -- compound key as text; '*' = the table's default
    value      TEXT NOT NULL,         -- the target's id
    set_by     TEXT NOT NULL,         -- who
    set_at     INTEGER NOT NULL,      -- when
    PRIMARY KEY (brand, connection, tbl, key)
) STRICT, WITHOUT ROWID;

-- Who changed which mapping when.
CREATE TABLE mapping_changes (
    id         INTEGER PRIMARY KEY,
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    tbl        TEXT NOT NULL,
    key        TEXT NOT NULL,
    before     TEXT,                  -- none when it is new
    after      TEXT,                  -- none when it was removed
    set_by     TEXT NOT NULL,
    set_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX mapping_changes_by_brand ON mapping_changes (brand);

-- The targets' own lists of values, as last read.
CREATE TABLE list_entries (
    connection TEXT NOT NULL,
    tbl        TEXT NOT NULL,         -- which mapping table it may answer for
    id         TEXT NOT NULL,         -- the target's id
    name       TEXT NOT NULL,         -- the target's name, compared byte for byte
    active     INTEGER NOT NULL CHECK (active IN (0, 1)), -- an inactive one is found, never used
    generation INTEGER NOT NULL,      -- the pass that saw it last
    PRIMARY KEY (connection, tbl, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX list_entries_by_name ON list_entries (connection, tbl, name);

-- When each list was last read whole.
CREATE TABLE lists (
    connection TEXT NOT NULL,
    tbl        TEXT NOT NULL,
    generation INTEGER NOT NULL,
    read_at    INTEGER NOT NULL,
    PRIMARY KEY (connection, tbl)
) STRICT, WITHOUT ROWID;

-- Every human act, each hash covering the one before.
CREATE TABLE audit (
    brand   TEXT NOT NULL,
    number  INTEGER NOT NULL CHECK (number > 0), -- counted from 1 per brand, without gaps
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,            -- who
    action  TEXT NOT NULL,            -- what
    subject TEXT NOT NULL,            -- on what
    detail  TEXT NOT NULL,            -- in a sentence
    hash    BLOB NOT NULL CHECK (length(hash) = 32), -- BLAKE3 over the hash before and this row
    PRIMARY KEY (brand, number)
) STRICT, WITHOUT ROWID;
-- The chain shows tampering; these keep an honest mistake from looking like it.
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;

-- Secrets, sealed under a key that is not in here.
CREATE TABLE sealed (
    brand TEXT NOT NULL,
    name  TEXT NOT NULL,
    seal  BLOB NOT NULL,              -- format, key id, nonce, ciphertext
    PRIMARY KEY (brand, name)
) STRICT, WITHOUT ROWID;

-- Calls spent: the scarce thing.
CREATE TABLE calls (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (brand, connection, purpose)
) STRICT, WITHOUT ROWID;
