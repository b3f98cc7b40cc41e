"""
Trouble, told before customers tell it: what is wrong now, who has seen it, and who was told.

    kinds.py      the table: each kind, what it watches, how far is too far, what to do about it
    figures.py    what the counters of all workers, Redis and the books say at one instant, as figures of the kinds
    rules.py      pure: figures in, what begins, goes on and is over out
    watch.py      one worker at a time looks, and writes down what it finds with everything that is to be sent
    alerts.py     what people do with them: list, acknowledge, choose thresholds
    receivers.py  who is told: webhooks and e-mail addresses, their secrets
    payload.py    an alert in words, and as what is sent
    sending.py    every worker sends what is due, again and again until it has arrived or too long has gone by
    outward.py    the door to other people's servers: which ones, how long, how much
    mail.py       the door to an SMTP server
    reasons.py    why something did not arrive

An alert is written in one transaction with what is to be sent of it: neither is without the other.
"""
