"""
Codes in the hands of people: made in bulk, shared by many, brought from elsewhere, printed, revoked by the many.

    asked.py      what may be asked for, and the checks of it
    csv_lines.py  a CSV of foreign codes → codes and refused lines; pure
    batch.py      a code batch as a value: what each answer of issue.lua makes of it; pure
    store.py      its rows in Postgres
    batches.py    the service: ask for one, see it, cancel it
    making.py     the work: one chunk after the other, each written down before it is sent
    revoking.py   the work of a revocation: passes through the books
    revocations.py  the service of those
    resolve.py    a code as it was typed → the shard it is on
    printing.py   codes from the books, a page at a time: CSV
    sheet.py      coupons to print and cut, as HTML
    pictures.py   QR code and Code 128;  wording.py: what a coupon is worth, in a sentence
"""
