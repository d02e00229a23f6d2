"""A machine of rules over the recovery flow: many browsers, every door, and a book that knows better."""
