"""One command that runs everything on one machine: what `manage.py up` is made of."""
