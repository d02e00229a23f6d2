"""Tests that break the real processes while they work."""
