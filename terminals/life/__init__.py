"""The life of a terminal: registered, paired, re-keyed, stopped, replaced (protocol §1)."""
