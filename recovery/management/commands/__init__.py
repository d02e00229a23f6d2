"""Commands that need all three rooms."""
