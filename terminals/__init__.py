"""Registered terminals, the commands sent to them, and the protocol they speak."""
