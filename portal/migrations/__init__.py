"""Schema history of the portal app."""
