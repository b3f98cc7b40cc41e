"""
What a campaign is, its life, its stock.

    definition.py  the bodies: what a marketer says, as Structs
    currencies.py  ISO 4217
    broken.py      a rule that does not hold, and how it is told
    check.py       what a definition has to be; every refusal names field and rule
    check_worth.py the same of what a coupon is worth and what becomes of it
    patch.py       a change of a definition, and what of it is fixed by then
    days.py        midnights of a zone
    compile.py     definition → the rules of each shard
    life.py        states, and the one function that tells the state of now
    shards.py      a campaign's shards in Redis
    store.py       a campaign's rows in Postgres
    publish.py     brings every shard to the newest version, and finishes what a crash left
    service.py     create, patch, state
    stock.py       stock in and out, over all shards, once a key
    view.py        the bodies that go out

The order of every change is: write down what is to be (committed), bring Redis there by scripts that
are idempotent, write down that it is so. A crash anywhere is healed by the next change, or by a
repetition of the same.
"""
