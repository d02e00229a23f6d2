"""Figures of recoveries, messages and cases, counted from their rows whenever somebody asks."""
