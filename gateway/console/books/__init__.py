"""Books: what the books say, as reports and journals, and what finance does with them."""
