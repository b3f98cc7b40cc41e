"""
The outside: files of orders or payments of another system, matched with the redemptions by order.

    reading.py    pure: a CSV as it comes in → lines of COPY, or the lines that are wrong
    files.py      keeps files: add, list, see
    matching.py   runs: what matches, what is missing on either side, what differs, what is there twice

Nothing of it changes the books. A run that finds a difference opens a break of the legal entity. Whoever resolves it
(reconciler.stocktake.breaks) has the file run again, or the one that corrects it: what was made good since, by a
rollback, a redemption or a manual journal that settles it, is on our side then.
"""
