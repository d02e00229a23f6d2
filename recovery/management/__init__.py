"""Management commands of recovery."""
