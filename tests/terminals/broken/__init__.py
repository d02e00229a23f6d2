"""Servers and terminals with one rule broken in each: the kit must find that one and blame no other."""
