"""
What `fairclaim up` runs: the embedded servers and the supervisor over all processes.

    processes.py   start a process so that it dies with us, its log, its last words
    launch.py      the first thing a started process runs: dies with its parent, gives up root
    privilege.py   how a server that refuses root is started by root
    server.py      what both embedded servers share: port, directory lock, start, stop
    valkey.py      Valkey (or any redis-server)
    postgres.py    PostgreSQL
    secrets.py     passwords and keys, made once a data directory
    supervisor.py  ordered start, restart with back-off, ordered stop
"""
