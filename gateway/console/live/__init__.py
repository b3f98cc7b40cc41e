"""
What every running sale is doing, at this moment.

    reading.py  what the counters of all workers, Redis and the books say at one instant
    pace.py     pure: how fast a sale sells, and when it is sold out
    frame.py    pure: two readings as rates, quantiles and the estimates
    live.py     one reader a worker, while somebody looks, and everybody who looks
    view.py     a frame in words, for the page as it is first shown
    pages.py    the pages, and the stream of frames that they follow
"""
