"""Units that devices send, as SI."""

import math

STANDARD_GRAVITY_M_S2 = 9.80665

UNITS: dict[str, tuple[float, str]] = {
    "deg": (math.pi / 180, "rad"), "deg/s": (math.pi / 180, "rad/s"), "turn": (2 * math.pi, "rad"),
    "km": (1e3, "m"), "cm": (1e-2, "m"), "mm": (1e-3, "m"), "um": (1e-6, "m"), "mm/s": (1e-3, "m/s"), "cm/s": (1e-2, "m/s"),
    "g": (STANDARD_GRAVITY_M_S2, "m/s^2"), "mg": (STANDARD_GRAVITY_M_S2 * 1e-3, "m/s^2"), "mm/s^2": (1e-3, "m/s^2"),
    "ms": (1e-3, "s"), "us": (1e-6, "s"), "mN": (1e-3, "N"), "kPa": (1e3, "Pa"), "hPa": (1e2, "Pa"), "bar": (1e5, "Pa"),
    "uT": (1e-6, "T"), "gauss": (1e-4, "T"), "mV": (1e-3, "V"), "mA": (1e-3, "A"), "%": (1e-2, "1"),
}  # fmt: skip
"""As sent -> (what one of it is, in this SI unit). ``g`` is gravity, as accelerometers mean it."""

NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Units of stamps."""


def to_si(unit: str) -> tuple[float, str]:
    """Factor and SI unit for a unit; one that is not in the table is kept as it is."""
    return UNITS.get(unit, (1.0, unit))
