"""
Proposals: what moves money, asked for by one person and done once another one approves it.

    pending  →  approved  →  applied      done, once, as the maker's act approved by the checker
             →            →  failed       it could not be done any more; nothing was changed
             →  rejected                  by a checker
             →  withdrawn                 by the maker
             →  expired                   nobody decided in time

    asked.py     what may be proposed; who may make and check it
    kinds.py     of each kind: what it would change now, and how it is done once
    reopening.py is in gateway/finance, where the books are
    store.py     rows of proposals
    deciding.py  make, approve, reject, withdraw
    applying.py  do what is approved, through crashes; expire what is overdue
    manuals.py   drafts of manual journals, which have a table of their own, among what waits
"""
