"""Finance over HTTP: what is asked of the books, and what is signed."""
