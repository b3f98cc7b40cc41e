"""
Alerts: what is wrong now, who has seen it, how far is too far, who is told.

    pages.py       open alerts and those that are over, one of them, the same as a file
    thresholds.py  how far is too far, of everything and of one campaign
    receivers.py   webhooks and e-mail addresses
"""
