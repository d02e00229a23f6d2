"""How terminals ask for work, all of them, all day: the poll and what it is made of (protocol §2–§3)."""
