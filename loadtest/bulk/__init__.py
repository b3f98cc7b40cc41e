"""
Books as years of sales leave them, straight into PostgreSQL: ``python -m loadtest.bulk``.

What is made is whole in every table: coupons and their state changes, redemptions and rollbacks, journals under the
hash chain, postings, and the sums a day. Nothing of ours makes it, so the checks of ours that pass on it say something.

    plan.py       how many of what, and the campaigns
    codes.py      codes with their check character
    opening.py    the campaigns
    sql/          the rows of one shard: lives.sql, coupons.sql, entries.sql, books.sql, moves.sql, days.sql
    sealing.py    journals, their postings and their hashes
    making.py     one shard a transaction, several at a time, from where it was left off
"""
