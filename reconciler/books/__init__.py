"""
What is asked of the books: balances and statements as of any time, journals, the day's head.

    asked.py       what may be asked: a basis, bounds, what to keep to; and the errors of it
    chart.py       pure: an account → what the chart says of it
    accounts.py    the accounts that ever moved
    balances.py    balances of accounts, campaigns, funders and merchants
    statement.py   an account between two times: opening, movements, closing
    journals.py    journals and their postings
    head.py        one hash for a day: what every chain ends in when it is over
    statements.py  sql/books.sql by name

Everything takes the connection it works on and decides nothing about who may ask.
"""
