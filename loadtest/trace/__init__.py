"""
A recorded trace of claims, played against a running gateway and judged by an oracle.

    discount  rows        what a file says               campaigns  redeeming   what is sent
    oracle    course      what it has to come to, and in which order it may be asked
    lines     play        asking, over HTTP              truth  judged          what came of it
    generate              makes a trace of any size      __main__               `make replay`
"""
