-- What the planner may assume. Without statistics it takes the first column of every index to narrow a table to ten
-- rows; here these are the brand and the flow, which narrow nothing, and it walked whole tables by their primary key.
-- Fixed figures keep its plans the same on the first day and after years. Each: rows, then rows per value of the first
-- column, of the first two, and so on. An index named like its table is the primary key.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('list_entries', 'list_entries',              '100000 50000 10000 1'),
    ('list_entries', 'list_entries_by_name',      '100000 50000 10000 1'),
    ('stock_levels', 'stock_levels',              '100000 100000 100000 20000 1'),
    ('stock_levels', 'stock_levels_by_sku',       '100000 100000 100000 5'),
    ('stock_levels', 'stock_levels_doubted',      '10 10 10 1'),
    ('stock_figures', 'stock_figures',            '100000 100000 100000 20000 1'),
    ('stock_figures', 'stock_figures_by_sku',     '100000 100000 100000 5'),
    ('stock_figures', 'stock_figures_by_state',   '100000 100000 100000 20000 4000 10'),
    ('stock_figures', 'stock_figures_by_exception', '1000 100'),
    ('stock_figures', 'stock_figures_due',        '1000 1000 1000 500 250 2'),
    ('stock_demand', 'stock_demand',              '100000 100000 100000 10 1'),
    ('stock_demand', 'stock_demand_by_sku',       '100000 100000 100000 20 2'),
    ('stock_demand', 'stock_demand_taken',        '100000 100000 100000 2'),
    ('stock_demand', 'stock_demand_gone',         '1000 1000 1000 2'),
    ('stock_kits', 'stock_kits',                  '10000 10000 10000 4 1'),
    ('stock_kits', 'stock_kits_by_part',          '10000 10000 10000 10'),
    ('stock_drifts', 'stock_drifts_by_row',       '1000 1000 1000 500 1'),
    ('stock_drifts', 'stock_drifts_by_exception', '10000 100');
-- Read again, for the connection that is open.
ANALYZE sqlite_schema;
