"""Merchant accounts, messages to people, and the ground the other apps stand on."""
