"""Zones of the IANA time zone database, as somebody names them."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_of(name: str) -> str:
    """The IANA zone *name*, or UTC where there is none of this name."""
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may be a path, or what no file is called
        return "UTC"
