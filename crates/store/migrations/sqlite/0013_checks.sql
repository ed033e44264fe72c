-- The checklists of the handbook, as people work through them.

-- One tick: somebody has looked.
CREATE TABLE check_ticks (
    brand    TEXT NOT NULL,           -- whose
    list     TEXT NOT NULL CHECK (list IN ('daily', 'monthly')),
    period   TEXT NOT NULL,           -- 2026-11-30, 2026-11
    item     TEXT NOT NULL,           -- which check
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,           -- who looked
    seen     TEXT NOT NULL CHECK (seen IN ('good', 'bad', 'open')), -- what the product itself saw just then
    note     TEXT NOT NULL,           -- what they found, in a sentence; may be empty
    PRIMARY KEY (brand, list, period, item)
) STRICT, WITHOUT ROWID;

-- A list of a period that somebody has put their name under; its ticks do not change after that.
CREATE TABLE check_signs (
    brand    TEXT NOT NULL,
    list     TEXT NOT NULL CHECK (list IN ('daily', 'monthly')),
    period   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,           -- who signed
    unticked TEXT NOT NULL,           -- what nobody had looked at, as a list in JSON
    reason   TEXT NOT NULL,           -- why it was signed all the same; empty when nothing was left
    digest   BLOB NOT NULL CHECK (length(digest) = 32), -- BLAKE3 over the ticks, as the audit trail names it
    PRIMARY KEY (brand, list, period)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER check_signs_are_not_changed BEFORE UPDATE ON check_signs BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;
CREATE TRIGGER check_signs_are_not_removed BEFORE DELETE ON check_signs BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;

-- When something was last done: a copy, a verification.
CREATE INDEX audit_by_action ON audit (brand, action, number);
