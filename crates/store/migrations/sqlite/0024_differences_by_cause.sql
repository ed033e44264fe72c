-- What differs, by cause: read for the page of today, the reconciliation, the checklists and the handbook, without a look at the rows.
CREATE INDEX differences_by_cause ON differences (brand, pair, kind, cause, why, currency, subject, stake_minor, first_seen_at)
    WHERE closed_at IS NULL;
