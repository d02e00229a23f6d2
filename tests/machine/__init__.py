"""A machine of rules: the real server, a real terminal, and a line between them that may do anything."""
