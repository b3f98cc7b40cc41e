"""Load: what drives a running gateway and judges what came of it, by HTTP and SQL; imports nothing of ours."""
