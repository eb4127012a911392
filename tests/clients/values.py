"""Attribute values of every kind, nested ones too, chosen by a seeded random generator. Used by spans, logs, points."""

WORDS = ["lantern", "kettle", "compass", "almanac", "Überfracht", "漢字", "🧭", "tab\there", "line\nbreak", ""]


def scalar(random):
    """A value without parts."""
    return random.choice(
        [
            random.choice(WORDS),
            random.random() < 0.5,
            random.randrange(-1000, 1000),
            2**63 - 1,
            -(2**63),
            2**53 + 1,
            random.uniform(-1e6, 1e6),
            1e300,
            -0.0,
            random.randbytes(random.randrange(0, 12)),
        ]
    )


def value(random, depth=2):
    """Any value an attribute can have, with arrays and maps up to a depth."""
    kind = random.randrange(8) if depth else 0
    if kind == 5:
        return [value(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 6:
        return {random.choice("abcd") + str(i): value(random, depth - 1) for i in range(random.randrange(4))}
    if kind == 7:
        return None
    return scalar(random)


def attributes(random, most=6):
    """A map of attributes. Keys repeat between records, with values of different types."""
    keys = random.sample(
        [f"test.key{i}" for i in range(12)] + ["http.route", "user.id", "x-request-id", "schlüssel"], most
    )
    return {key: value(random) for key in keys[: random.randrange(most + 1)]}
