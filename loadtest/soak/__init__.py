"""A long run on a system of its own: mixed traffic, restarts, and whether every part stays as large as it was."""
