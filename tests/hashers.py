"""A password hash that costs a test nothing."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class CheapHasher(Argon2PasswordHasher):
    """Argon2id at its smallest."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
