"""
What every running sale is doing, at this moment.

    reading.py  what the counters of all workers, Redis and the books say at one instant
    frame.py    pure: two readings as rates, quantiles and an estimate of when it is sold out
    live.py     one reader a worker, while somebody looks, and everybody who looks
    view.py     a frame in words, for the page as it is first shown
    pages.py    the pages, and the stream of frames that they follow
"""
