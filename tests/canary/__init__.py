"""Tests that look for secrets where none may be."""
