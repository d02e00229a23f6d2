"""What the support desk sees of terminals: no field holds a key, a token or anything sealed."""

from terminals.admin import alerts, batches, commands, directory, keys, requests, terminals

__all__ = ["alerts", "batches", "commands", "directory", "keys", "requests", "terminals"]
