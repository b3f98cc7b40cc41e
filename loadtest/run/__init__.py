"""One run of the crowd: what it is about, what it saw, what it came to."""
