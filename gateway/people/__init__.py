"""
People who sign in to the console, with a name and a password.

    person.py     who somebody is and what he may do; what a name, a display name and roles may be
    passwords.py  what a password may be; hashing and checking it beside the event loop
    store.py      pure functions on a connection: create, change, disable, list; each change in the audit log
    first.py      the first admin, whom `up` makes
    people.py     one worker's view: who signs in, whose session it is

Programs have API keys (gateway/keys.py), holders have tokens.
"""
