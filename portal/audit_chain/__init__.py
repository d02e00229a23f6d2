"""The audit trail as a chain: links over events, signed heads, and the check of both."""
