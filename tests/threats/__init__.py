"""Rows of the threat table that no room of its own tests, and the index of those that one does."""
