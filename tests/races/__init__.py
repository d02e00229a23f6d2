"""The same thing many times at the same moment, over real HTTP."""
