"""Those who mean harm."""
