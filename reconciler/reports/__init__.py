"""Reports of the books, and what they are written as."""
