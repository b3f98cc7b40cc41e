"""
The reconciler: from the stream into the books, exactly once.

    drain.py       the loop: take over shards, read, commit, trim; stop and resume shards
    ownership.py   which shards this reconciler drains: advisory locks, shared evenly
    streams.py     the Redis side: attach, read, trim, on one connection
    shard.py       pure: what is believed of a stream, and what is a break
    rows.py        pure: entry → COPY lines
    step_rows.py   pure: the steps of coupons after their claim → COPY lines, and the state they end in
    copying.py     pure: Python values → the text of COPY
    accounts.py    pure: the accounts of the unit book and of the money book
    money.py       pure: the money that a state change moves
    postings.py    pure: entries → journals of both books, and their hash chain
    manual.py      posts the journals that people made
    ledger.py      the only door to the books; the fence is in here
    verifying.py   walks the hash chain of the journals
    quarantine.py  replay of records that could not be read
    sweeper.py     has Redis book what is over, beside the drain
    deadlines.py   the sweeper's reading of PostgreSQL: what is due
    timekeeper.py  the sweeper's side of Redis: the clock, and the scripts that end what is over
    outages.py     a log line a change of state, and how long to wait
    steps.py       the numbered points at which tests kill it
    queries.py     statements of sql/ by name, and their rows
    audit.py       lines of the audit log
    migrations.py  brings the schema up to date
    clerk.py       the paperwork beside the drain, in loops;  desk.py: its connection to the books
    beside.py      programs of ours that run beside, and end with whoever started them
    books/         what is asked of the books: balances, statements, journals, the head of a day
    periods/       months and days of a legal entity: checks, close, reopen, what is signed
    reports/       reports of the books, and what they are written as
    exports/       reports made in the background, as files with a manifest
    stocktake/     Redis and the books compared at one seq; breaks, and what becomes of them
    verdict/       every invariant of the books and of Redis, each with its figures
    outside/       orders of other systems, matched with the redemptions
    sql/           schema, queries, migrations

It never writes to stock, and imports nothing of the gateway.
"""
