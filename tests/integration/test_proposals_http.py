"""Proposals over HTTP: made by one, approved by another, done once; who may, and what is refused."""
