"""What the house looks like, judged by its own rules."""
