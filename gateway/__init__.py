"""
The gateway: HTTP in front, one atomic script call behind.

    app.py          wires a worker: settings → doors → services → routes
    settings.py     every knob, its unit, default and bounds
    errors.py       every refusal: code → status, title, what to do
    wire.py         bodies in and out
    routes/         one file a kind of caller
    claims.py       one claim: token, body, code → ask → answer
    batcher.py      group commit: asks that arrive together travel together
    campaigns/      what a campaign is, its life, its stock
    codes.py        coupon codes
    tokens.py       holder tokens;  keys.py: API keys
    telemetry.py    counters shared by all workers
    cli/            the command line; the one place that wires gateway and reconciler together
    stack/          the embedded servers and the supervisor
"""
