"""Which modules are changed, and which tests have to notice."""

GATES = (
    "recovery/test_gates.py",
    "recovery/test_ways_left.py",
    "recovery/test_policies.py",
    "recovery/test_authority.py",
)
PROOFS = ("recovery/test_proving.py", "recovery/test_proving_by_address.py", "recovery/test_presence.py")
JOURNEY = ("recovery/test_journey.py", "recovery/test_owner.py", "recovery/test_unlocking.py")
CODES = (
    "portal/test_challenges.py",
    "portal/test_challenge_edges.py",
    "messaging/test_channels.py",
    "portal/test_devices.py",
)
MONEY = ("portal/test_spending.py", "portal/test_conversion.py")
OWNERS = ("recovery/test_guessing.py", "recovery/test_locking_out.py")

COVERED_BY: dict[str, tuple[str, ...]] = {
    "recovery/gates/decide.py": GATES,
    "recovery/gates/floors.py": GATES,
    "recovery/gates/policy.py": GATES,
    "recovery/authority.py": (
        *GATES,
        *PROOFS,
        *JOURNEY,
        *OWNERS,
        "recovery/test_not_me.py",
        "recovery/test_verification.py",
        "recovery/test_what_if.py",
    ),
    "recovery/proving.py": PROOFS,
    "portal/challenges.py": (*CODES, "recovery/test_delivery.py", "recovery/test_guessing.py"),
    "portal/limits.py": (
        "portal/test_limits.py",
        "portal/test_limit_edges.py",
        "recovery/test_guessing.py",
        *MONEY,
    ),
    "portal/texting.py": (*MONEY, *OWNERS, "messaging/test_channels.py"),
    "portal/guessing.py": OWNERS,
    "portal/spending.py": (*MONEY, *OWNERS),
    "portal/breaker.py": ("portal/test_breaker.py",),
    "portal/conversion.py": MONEY,
    "portal/dialling.py": MONEY,
    "portal/puzzles.py": ("recovery/test_puzzle.py",),
    "portal/recovery_codes.py": ("portal/test_recovery_codes.py", "portal/test_recovery_cards.py"),
}
# Changes that nothing can show, by module, function and what stands there, each with its reason; not counted.
SAME: dict[tuple[str, str, str], str] = {
    ("portal/recovery_codes.py", "make", "True"): "the kind of a row lock, which SQLite does not have",
    ("portal/recovery_codes.py", "make", "Merchant.objects.select_for_update(no_key=True)"): "the same",
    **{
        ("recovery/gates/floors.py", "CHANNEL", f"'{name}'"): "what a channel is called, while no other is so"
        for name in ("email", "app", "passkey", "paper", "person", "terminal", "desk")
    },
}
# At least so many of a hundred changes have to be noticed.
BAR = 90
