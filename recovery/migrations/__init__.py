"""Schema history of the recovery app."""
