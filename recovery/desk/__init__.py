"""The desk: what support staff do about a ticket. Nothing here can hold a password or a code."""
