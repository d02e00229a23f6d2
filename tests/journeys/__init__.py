"""Whole journeys in a real Chromium against real processes."""
