"""Settings of a whole system that shares its machine with tests: nobody is sent away for being slow, or for who is."""

from typing import TypedDict


class Patience(TypedDict):
    """By their names, as loadtest.system.System takes them."""

    claim_wait_ms_max: str
    redis_call_ms_max: str
    redis_connect_ms_max: str
    postgres_ms_max: str
    receipt_s_max: str
    keep_alive_s_max: str
    stop_s_max: str


PATIENT: Patience = {
    "claim_wait_ms_max": "20000",
    "redis_call_ms_max": "15000",
    "redis_connect_ms_max": "15000",
    "postgres_ms_max": "20000",
    "receipt_s_max": "60",
    "keep_alive_s_max": "60",
    "stop_s_max": "40",
}
"""
A crowd that stood still for five seconds would find its connections closed. Of a server that stands still for ten it is
not said that it is away, and a worker has to have the time that its claims may take to stop.
"""
