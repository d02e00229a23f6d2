"""How portal passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class RekeyArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one lane: the OWASP floor, too cheap to be a lever for floods."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1
