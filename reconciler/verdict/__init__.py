"""
Is everything right? Every invariant of the books and of Redis, each with its figures, in one answer.

    invariants.py   pure: each invariant, what it says, and its statements (sql/verdict/)
    books.py        runs them in one snapshot of the books; compares what somebody was told
    told.py         pure: a file of answers
    live.py         the shards in Redis at the seq of the books
    judging.py      all of it in order: judge()
    figures.py      pure: figures and rows as they are read
    waiting.py      until the books have what Redis had done

It changes nothing, and may run while a sale goes on.
"""
