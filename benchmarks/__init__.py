"""How fast Rekey is, as ratios against stated ceilings: `python -m benchmarks`."""
