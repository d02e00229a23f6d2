"""A terminal in software: the reference client of the terminal protocol, without any web framework."""
