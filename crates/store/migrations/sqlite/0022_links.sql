-- A link by which the first admin is named is of one brand: several may share a store.
DELETE FROM links WHERE person IS NULL;
ALTER TABLE links ADD COLUMN brand TEXT; -- at which brand the first admin is named with it; NULL = a person sets a password
