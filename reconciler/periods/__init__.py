"""
Months and days of a legal entity, which finance holds, closes and signs.

    calendar.py    pure: which days a period has, and in which order periods close
    closing.py     hold, close, reopen: who does it, and what is written
    checks.py      what has to hold before a close: of the period, and the verdict on the books
    waiting.py     what is dated in a period and still on a stream
    figures.py     what the books say of a period
    report.py      what a close is signed on, as types
    entities.py    the legal entities
    listing.py     periods and what became of them
    statements.py  sql/periods.sql by name

One date says what is closed: legal_entities.closed_through. The drain reads it under a lock and a close moves it under
the other one, so a state change is either in what was signed, or goes to the next open day with its date beside it.
"""
