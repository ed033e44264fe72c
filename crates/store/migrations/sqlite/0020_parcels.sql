-- A number that is put over one of several parcels holds while the source says the same of all of them: they have no names.
ALTER TABLE edits ADD COLUMN beside TEXT; -- of several parcels: what the source said of each
