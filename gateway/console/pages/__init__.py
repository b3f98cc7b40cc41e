"""The pages of the console, a module for what belongs together; each lists its own in PAGES."""
