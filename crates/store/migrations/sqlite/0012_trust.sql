-- What is kept for how long, and what was erased: the row and its digest stay as evidence, the content goes.

ALTER TABLE captures ADD COLUMN erased_at INTEGER;   -- when its bytes were erased; none while they are kept
ALTER TABLE deliveries ADD COLUMN erased_at INTEGER; -- likewise
ALTER TABLE records ADD COLUMN erased_at INTEGER;    -- when what tells who somebody is was taken out of it

-- The oldest that still has its content: what a night's look begins with.
CREATE INDEX captures_kept ON captures (brand, received_at) WHERE erased_at IS NULL;
CREATE INDEX deliveries_kept ON deliveries (brand, received_at) WHERE erased_at IS NULL;
-- Of what names nobody there is nothing to erase.
CREATE INDEX records_kept ON records (brand, received_at) WHERE erased_at IS NULL AND form NOT IN ('product', 'refund', 'unreadable');
