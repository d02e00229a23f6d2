"""Schema history of the terminals app."""
