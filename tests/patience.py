"""Settings of a whole system that shares its machine with tests: nobody is sent away for being slow, or for who is."""

PATIENT = {
    "claim_wait_ms_max": "14000",
    "redis_call_ms_max": "6000",
    "postgres_ms_max": "20000",
    "receipt_s_max": "60",
    "keep_alive_s_max": "60",
}
"""By their names, as loadtest.system.System takes them. A crowd that stood still would find its connections closed."""
