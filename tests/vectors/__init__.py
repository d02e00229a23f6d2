"""Test vectors that both sides of the terminal protocol must judge alike."""
