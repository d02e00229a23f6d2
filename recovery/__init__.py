"""The self-service "forgot operator password" journey, and the tickets it can end in."""
