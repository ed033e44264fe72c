-- What arrives, counted, so that silence is noticed; and what people are told of exceptions.

-- Arrivals by quarter of an hour: first revisions only. Bounded by the weeks that are looked back on and by the markets per feed.
CREATE TABLE arrivals (
    brand      TEXT NOT NULL,         -- whose
    connection TEXT NOT NULL,         -- from where
    kind       TEXT NOT NULL,         -- kind of record
    slot       INTEGER NOT NULL CHECK (slot % 900000000 = 0), -- when the quarter of an hour begins
    market     TEXT NOT NULL,         -- of which market, by its id; empty for records that belong to none, and for those past the bound
    count      INTEGER NOT NULL CHECK (count > 0), -- how many came
    PRIMARY KEY (brand, connection, kind, slot, market)
) STRICT, WITHOUT ROWID;

-- When the last one came: a slot is too wide to say "since 09:40".
CREATE TABLE last_arrivals (
    brand      TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    market     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (brand, connection, kind, market)
) STRICT, WITHOUT ROWID;

-- An exception that a route took, from its opening to its end: one row each time it opens.
CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY, -- alr_…
    brand           TEXT NOT NULL,
    exception_id    INTEGER NOT NULL REFERENCES exceptions (id), -- about what
    route           TEXT NOT NULL,    -- which route has it, by its name
    severity        TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')), -- how bad it is now
    opened_at       INTEGER NOT NULL, -- the start of its clock: when the exception opened, or when it had cooled down
    due_at          INTEGER,          -- when its route looks at it next; none when nothing is due any more
    steps_told      INTEGER NOT NULL DEFAULT 0 CHECK (steps_told >= 0), -- how many steps of the route were told
    told_severity   TEXT,             -- how bad it was when it was last told; none = nobody was told yet
    first_told_at   INTEGER,          -- the clock of the steps
    last_told_at    INTEGER,          -- the clock of repeats
    unreached       INTEGER NOT NULL DEFAULT 0 CHECK (unreached IN (0, 1)), -- what was told last reached nobody: the next step is due
    acknowledged_at INTEGER,          -- when somebody said that they look after it
    acknowledged_by TEXT,             -- who
    resolved_at     INTEGER,          -- when its exception closed; none while it is open
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CHECK ((first_told_at IS NULL) = (last_told_at IS NULL)),
    CHECK ((told_severity IS NULL) = (last_told_at IS NULL)),
    CHECK (resolved_at IS NULL OR due_at IS NULL)
) STRICT;
-- An exception has one open alert: the same root cause is never told twice.
CREATE UNIQUE INDEX alerts_open ON alerts (exception_id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_due ON alerts (brand, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX alerts_by_exception ON alerts (exception_id, resolved_at);
CREATE INDEX alerts_by_end ON alerts (brand, resolved_at);

-- What is owed to a channel: one message, which goes through the states of every obligation.
CREATE TABLE alert_messages (
    id           INTEGER PRIMARY KEY, -- msg_…
    brand        TEXT NOT NULL,
    channel      TEXT NOT NULL,       -- over which channel, by its name in the config
    event        TEXT NOT NULL CHECK (event IN ('opened', 'escalated', 'repeated', 'digest', 'acknowledged', 'resolved', 'test')), -- why
    route        TEXT NOT NULL,       -- by which route; empty for a test
    step         INTEGER NOT NULL,    -- by which step of it, counted from 0
    state        TEXT NOT NULL CHECK (state IN ('captured', 'cleared', 'sending', 'unanswered', 'delivered',
                                                'confirmed', 'held', 'superseded', 'excluded', 'dismissed')),
    due_at       INTEGER,             -- when it is looked at next; none when settled
    created_at   INTEGER NOT NULL,
    settled_at   INTEGER,             -- none while in flight
    attempts     INTEGER NOT NULL DEFAULT 0, -- how often it was sent
    retries      INTEGER NOT NULL DEFAULT 0, -- how often in a row that did not come through
    exception_id INTEGER REFERENCES exceptions (id), -- what holds it
    receipt      TEXT,                -- by what the channel knows it, where it says
    note         TEXT,                -- what the channel answered, or why it is where it is
    body         BLOB NOT NULL,       -- packed: the message as JSON, without links
    CHECK ((settled_at IS NULL) = (state IN ('captured', 'cleared', 'sending', 'unanswered', 'delivered'))),
    CHECK ((due_at IS NULL) = (settled_at IS NOT NULL)),
    CHECK (state <> 'held' OR exception_id IS NOT NULL)
) STRICT;
CREATE INDEX alert_messages_due ON alert_messages (brand, channel, state, due_at) WHERE settled_at IS NULL;
-- What waits for a channel to work again.
CREATE INDEX alert_messages_held ON alert_messages (brand, channel, id) WHERE state = 'held';
CREATE INDEX alert_messages_by_age ON alert_messages (brand, settled_at);

-- Which alerts a message tells of.
CREATE TABLE alert_items (
    alert_id   INTEGER NOT NULL REFERENCES alerts (id),
    message_id INTEGER NOT NULL REFERENCES alert_messages (id),
    PRIMARY KEY (alert_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_items_by_message ON alert_items (message_id);

-- Links by which a message can be acknowledged without a log-in. What is in the link is not kept, only what it hashes to.
CREATE TABLE alert_links (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32), -- BLAKE3 of the token
    message_id INTEGER NOT NULL REFERENCES alert_messages (id), -- what it acknowledges: all that this message tells of
    expires_at INTEGER NOT NULL,      -- after this it opens nothing
    used_at    INTEGER                -- it works once
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_links_by_message ON alert_links (message_id);
