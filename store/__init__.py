"""The raw and curated databases. No other package imports SQLAlchemy, SQLModel or sqlite3, or sees a row.

database         opening, migrations, read-only transactions, errors in a line
keys             identities: hashes of canonical JSON
texts            content-addressed texts: each stored once, by its SHA-256
rows             transactions that write: insert if absent, or insert the same
tables/          the columns, by database: raw is append-only, curated is what the pipeline reads
runs/            what campaigns recorded
    raw          the raw store: packages, campaigns, trajectories, attempts, verdicts
    recorder     evidence of one attempt, row by row
    corpus       packages, instances, repositories by content
    report, usage, trace, triples        questions about one campaign or trajectory
    attempts, closed_runs, results       what is learned from and evaluated by
    attributions, measurements, supplements
learning/        what the learning loop keeps
    datasets, evaluation_sets, reservations, evaluations, answer_scores
    bases, adapters, promotions          adapters move by compare-and-set, with the log, in one transaction
active_adapters  which adapter serves a stage now, read again as it changes
index_cache      the SQLite file of the index cache, which may be deleted at any time
"""
