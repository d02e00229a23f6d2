"""Thousands of terminals in one process: real keys, real requests, a few kibibytes each."""
