-- The month-end close: what was found, what was signed, what came late. All of it only grows: a restatement is a further row,
-- and a later agreement takes nothing back.

-- What a look at a period found.
CREATE TABLE close_verdicts (
    brand      TEXT NOT NULL,
    entity     TEXT NOT NULL,         -- whose books
    period     TEXT NOT NULL,         -- 2026-11, 2026-P11
    number     INTEGER NOT NULL CHECK (number > 0), -- counted from 1 per period, without gaps
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,         -- who looked
    rows       INTEGER NOT NULL,
    open_items INTEGER NOT NULL,
    against    TEXT NOT NULL,         -- what stood against signing, as a list in JSON; [] = it might have been signed
    PRIMARY KEY (brand, entity, period, number)
) STRICT, WITHOUT ROWID;

-- What was signed: one row a pack.
CREATE TABLE close_signs (
    brand       TEXT NOT NULL,
    entity      TEXT NOT NULL,
    sequence    INTEGER NOT NULL CHECK (sequence > 0), -- counted from 1 through all packs of the entity, without gaps
    period      TEXT NOT NULL,
    restatement INTEGER NOT NULL CHECK (restatement >= 0), -- 0 = the first close of the period
    signed_by   TEXT NOT NULL,
    signed_at   INTEGER NOT NULL,
    folder      TEXT NOT NULL,        -- where the pack was sealed
    hash        TEXT NOT NULL CHECK (length(hash) = 64), -- of its manifest
    previous    TEXT,                 -- the hash of the pack before it
    rows        INTEGER NOT NULL,
    open_items  INTEGER NOT NULL,
    PRIMARY KEY (brand, entity, sequence),
    UNIQUE (brand, entity, period, restatement),
    CHECK ((sequence = 1) = (previous IS NULL))
) STRICT, WITHOUT ROWID;

-- What opened a restatement of a period that was signed: a late item, or a person.
CREATE TABLE close_reopenings (
    brand       TEXT NOT NULL,
    entity      TEXT NOT NULL,
    period      TEXT NOT NULL,
    number      INTEGER NOT NULL CHECK (number > 0), -- counted from 1 per period, without gaps
    restatement INTEGER NOT NULL,     -- which close of the period it came after
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    reason      TEXT NOT NULL,        -- in a sentence
    PRIMARY KEY (brand, entity, period, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER close_verdicts_are_not_changed BEFORE UPDATE ON close_verdicts BEGIN SELECT RAISE(ABORT, 'the history of a period only grows'); END;
CREATE TRIGGER close_verdicts_are_not_removed BEFORE DELETE ON close_verdicts BEGIN SELECT RAISE(ABORT, 'the history of a period only grows'); END;
CREATE TRIGGER close_signs_are_not_changed BEFORE UPDATE ON close_signs BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;
CREATE TRIGGER close_signs_are_not_removed BEFORE DELETE ON close_signs BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;
CREATE TRIGGER close_reopenings_are_not_changed BEFORE UPDATE ON close_reopenings BEGIN SELECT RAISE(ABORT, 'the history of a period only grows'); END;
CREATE TRIGGER close_reopenings_are_not_removed BEFORE DELETE ON close_reopenings BEGIN SELECT RAISE(ABORT, 'the history of a period only grows'); END;
