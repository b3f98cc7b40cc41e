"""
The web console at /console: one place to run a sale and review its books.
"""
