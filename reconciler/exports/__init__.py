"""
Exports: reports that are made in the background, as files with a manifest.

    store.py      what was asked for, and how far it is: a row each; for HTTP and the command line
    work.py       the clerk's work: takes an export, has a process make it, looks after the folder
    making.py     that process: rows into parts, parts into the file
    spool.py      the parts
    manifest.py   what a file is, so that it can be proven later

The rows are read in one snapshot of the books and kept in parts, so that the snapshot is held no longer than it takes
to read them, and so that a process that dies is followed by one that goes on. Every file has the name of who wrote it
in its own, and counts only once the row in PostgreSQL says so: a process that was thought dead writes files that
nobody reads.
"""
