-- A root cause ranks by all that hangs on it: the same cause in several flows that lead to one target is one.
ALTER TABLE exceptions ADD COLUMN rank INTEGER NOT NULL DEFAULT 0; -- the sum of the impacts of its root cause's open exceptions that are not snoozed
UPDATE exceptions SET rank = impact;
DROP INDEX exceptions_ranked;
CREATE INDEX exceptions_ranked ON exceptions (brand, rank, impact, id) WHERE open = 1 AND snoozed_until IS NULL;
