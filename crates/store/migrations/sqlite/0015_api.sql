-- What other programs ask of the API and are told by it.

-- A write that came with a key of its sender's own: the same request with the same key is done once.
CREATE TABLE idempotency_keys (
    brand    TEXT NOT NULL,
    actor    TEXT NOT NULL,           -- who asked
    key      TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255), -- the sender's own text
    request  BLOB NOT NULL CHECK (length(request) = 32), -- BLAKE3 over method, address and body
    asked_at INTEGER NOT NULL,
    status   INTEGER,                 -- of the answer; none while it is under way
    answer   BLOB,                    -- its body, packed
    PRIMARY KEY (brand, actor, key),
    CHECK ((status IS NULL) = (answer IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (brand, asked_at);

-- Each time that an obligation came to rest, in that order: whoever is told of it is told of each, whatever became of it since. The
-- order is that of the writes; a clock that is set back does not change it.
CREATE TABLE settlings (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    brand         TEXT NOT NULL,
    obligation_id INTEGER NOT NULL REFERENCES obligations (id),
    state         TEXT NOT NULL,      -- where it came to rest
    exception_id  INTEGER,            -- what held it then
    at            INTEGER NOT NULL
) STRICT;
CREATE INDEX settlings_by_brand ON settlings (brand, id);
CREATE TRIGGER obligations_settle AFTER UPDATE OF state, settled_at ON obligations
WHEN NEW.settled_at IS NOT NULL AND (OLD.settled_at IS NULL OR OLD.state <> NEW.state)
BEGIN
    INSERT INTO settlings (brand, obligation_id, state, exception_id, at)
    VALUES (NEW.brand, NEW.id, NEW.state, CASE NEW.state WHEN 'held' THEN NEW.exception_id END, NEW.settled_at);
END;

-- How far each outgoing webhook has been told each stream of events. The events themselves are rows that stand anyway: the history
-- of exceptions, the audit trail, the settlings.
CREATE TABLE webhook_cursors (
    brand   TEXT NOT NULL,
    webhook TEXT NOT NULL,            -- by its name in the config
    stream  TEXT NOT NULL CHECK (stream IN ('exceptions', 'acts', 'records')),
    id      INTEGER NOT NULL,         -- the last one that was taken
    PRIMARY KEY (brand, webhook, stream)
) STRICT, WITHOUT ROWID;

-- Whether a webhook comes through, and when it is tried next.
CREATE TABLE webhooks (
    brand    TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0), -- how often in a row it did not come through
    due_at   INTEGER NOT NULL,        -- not before this
    taken    INTEGER NOT NULL DEFAULT 0 CHECK (taken >= 0), -- events that were taken, ever
    taken_at INTEGER,                 -- when the last one was
    said     TEXT NOT NULL DEFAULT '', -- what was answered when one was not taken
    PRIMARY KEY (brand, webhook)
) STRICT, WITHOUT ROWID;
