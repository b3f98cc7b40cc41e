"""
The gateway: HTTP in front, one atomic script call behind.

    app.py          wires a worker: settings → doors → services → routes
    settings.py     every knob, its unit, default and bounds
    errors.py       every refusal: code → status, title, what to do
    wire.py         bodies in and out
    serving.py      the server of a worker: signals, its socket, its siblings';  cores.py: how many workers
    turns.py        one connection: its requests in turn, its time
    guard.py        what holds for every request, before any route;  shape.py: what its header names say
    lane.py         claims answered by the protocol itself; the rest falls through to routes/
    routes/         one file a kind of caller
    api/            what routes say of themselves, and the document made of it
    claims.py       one claim, whichever front it comes from;  asks.py, answers.py: what goes on and what comes back
    batcher.py      group commit: asks that arrive together travel together
    campaigns/      what a campaign is, its life, its stock
    worth/          what a coupon takes off an order, and what a rollback gives back: pure
    codes.py        coupon codes;  issuing/: codes in bulk, shared and imported ones, printing, revocation of many
    credentials.py  who a holder is: tokens.py and tickets.py, both signed by signing.py;  keys.py: API keys
    finance/        what finance asks for and signs; it reads the books, so it may import the reconciler
    telemetry.py    counters shared by all workers
    key_file.py     signing keys from a setting, or from a file that is followed
    cli/            the command line; it wires gateway and reconciler together
    stack/          the embedded servers and the supervisor
"""
