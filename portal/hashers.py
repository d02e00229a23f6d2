"""How portal passwords are hashed, and that the memory for it is given back."""

import ctypes

from django.contrib.auth.hashers import Argon2PasswordHasher

MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of mallopt(3)
ONE_MIB = 1 << 20


class RekeyArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one lane: the OWASP floor, too cheap to be a lever for floods."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1


def give_memory_back() -> None:
    """Let large blocks go back to the system as soon as they are free, where the C library can.

    The GNU library would otherwise keep the 19 MiB of a hash for each thread that made one: 300 MiB after
    a hundred sign-ins, though never more than two hash at once (T36).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, ONE_MIB)


give_memory_back()
