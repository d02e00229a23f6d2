"""Commands of the terminals room."""
