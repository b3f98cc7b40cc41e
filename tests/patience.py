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


PATIENT: Patience = {
    "claim_wait_ms_max": "14000",
    "redis_call_ms_max": "6000",
    "redis_connect_ms_max": "6000",
    "postgres_ms_max": "20000",
    "receipt_s_max": "60",
    "keep_alive_s_max": "60",
}
"""A crowd that stood still for five seconds would find its connections closed."""
