-- What people quote of a record: words of its newest revision, and of what belongs to its order. A look-up is a stretch of
-- this tree, however many records there are.
CREATE TABLE search_words (
    brand TEXT NOT NULL,              -- whose
    kind  TEXT NOT NULL,              -- kind of the record that is found
    word  TEXT NOT NULL,              -- in lower case, bounded
    key   TEXT NOT NULL,              -- our key of the record that is found
    said  TEXT NOT NULL,              -- kind and key of the record that says the word: a shipment says the tracking numbers of its order
    PRIMARY KEY (brand, kind, word, key, said)
) STRICT, WITHOUT ROWID;
-- Whether a record that was found by one word has the others; and which words go when it says others.
CREATE INDEX search_words_of ON search_words (brand, kind, key, word);

-- What is known already says its words, too: each line, and each word of a line.
INSERT OR IGNORE INTO search_words (brand, kind, word, key, said)
WITH RECURSIVE
    lines (brand, kind, key, order_key, line, rest) AS (
        SELECT brand, kind, key, order_key, '', search || char(10) FROM records WHERE latest = 1
        UNION ALL
        SELECT brand, kind, key, order_key, substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
        FROM lines WHERE rest <> ''
    ),
    words (brand, kind, key, order_key, word, rest) AS (
        SELECT brand, kind, key, order_key, line, line || ' ' FROM lines WHERE line <> ''
        UNION ALL
        SELECT brand, kind, key, order_key, substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1)
        FROM words WHERE rest <> ''
    )
SELECT brand, kind, substr(word, 1, 100), key, kind || ' ' || key FROM words WHERE word <> ''
UNION
SELECT brand, 'order', substr(word, 1, 100), order_key, kind || ' ' || key FROM words
WHERE word <> '' AND order_key IS NOT NULL AND kind <> 'order';

ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl = 'search_words';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('search_words', 'search_words',      '10000000 10000000 3000000 10 1 1'),
    ('search_words', 'search_words_of',   '10000000 10000000 3000000 10 1');
ANALYZE sqlite_schema;
