"""Issuer keys: made, listed, vouched for by a root, used, replaced in an emergency (protocol §7)."""
