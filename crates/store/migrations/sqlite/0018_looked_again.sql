-- Both ends of what differs are read again because a person asks for it: how that went is told in the history, too.
CREATE TABLE exception_events_new (
    id           INTEGER PRIMARY KEY, -- grows: what came after what
    brand        TEXT NOT NULL,       -- whose
    exception_id INTEGER NOT NULL REFERENCES exceptions (id),
    at           INTEGER NOT NULL,    -- when
    kind         TEXT NOT NULL CHECK (kind IN ('opened', 'grew', 'handed_over', 'commented', 'snoozed', 'woke', 'released', 'canary_sent',
                                               'canary_passed', 'surprise', 'dismissed', 'mapped', 'edited', 'looked_again', 'closed', 'reopened')),
    actor        TEXT NOT NULL,       -- who; empty for the engine
    detail       TEXT NOT NULL        -- in a sentence, bounded
) STRICT;
INSERT INTO exception_events_new SELECT id, brand, exception_id, at, kind, actor, detail FROM exception_events ORDER BY id;
DROP TABLE exception_events;
ALTER TABLE exception_events_new RENAME TO exception_events;
-- The history of one.
CREATE INDEX exception_events_by_exception ON exception_events (exception_id, id);
-- Everything new of a brand.
CREATE INDEX exception_events_by_brand ON exception_events (brand, id);
