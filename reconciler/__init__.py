"""
The reconciler: from the stream into the books, exactly once.

    drain.py       owns shards, reads their streams, commits rows and position together
    shard.py       one shard: attach, check, commit, trim
    postings.py    pure: entries → journals of the unit book
    ledger.py      the only door to the books in Postgres
    migrations.py  brings the schema up to date
    sql/           schema, queries, migrations

It never writes to stock, and imports nothing of the gateway.
"""
