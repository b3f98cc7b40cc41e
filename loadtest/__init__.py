"""Load: what drives a running gateway and judges what came of it. It speaks HTTP and SQL and imports nothing of ours."""
