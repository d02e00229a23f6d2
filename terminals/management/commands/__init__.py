"""Commands of the terminals room, one module each."""
