"""
What a password may be, and checking one: argon2id, beside the event loop, at most a few at once.

Length is what counts (NIST SP 800-63B-4 §3.1.1.2): no rules of what has to be in it, and none that anybody tries first.
"""

import asyncio
import os
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from secrets import choice, token_bytes
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from gateway.errors import Refusal
from gateway.people.person import InvalidUser

T = TypeVar("T")

PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 12, 128

# OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes and 1 lane, as strong as its other choices. RFC
# 9106 §4 would rather have 64 MiB, 3 passes and 4 lanes, but these cores and this memory are the claims'.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
HASH_BYTES, SALT_BYTES = 32, 16  # RFC 9106 §3.1: 16 bytes of salt are recommended
CHECKS_AT_ONCE_MAX = 2
"""How many passwords a worker hashes at once: so many cores and times MEMORY_KIB it takes at most."""
CHECKS_WAITING_MAX = 64
NICE = 19
"""How far the threads that hash stand back, of 0 to 19 (setpriority(2))."""

COMMON = frozenset((files("gateway.people") / "common_passwords.txt").read_text(encoding="ascii").split())
"""Those of twelve characters or more in the 20,000 most used ones, as Django has them (from Have I Been Pwned)."""

_COMPOSED_CHARS_MAX = 4 * PASSWORD_CHARS_MAX
_GENERATED_GROUPS, _GENERATED_GROUP_CHARS = 5, 5
_GENERATED_CHARS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another one

_HASHER = PasswordHasher(
    time_cost=PASSES,
    memory_cost=MEMORY_KIB,
    parallelism=LANES,
    hash_len=HASH_BYTES,
    salt_len=SALT_BYTES,
    type=Type.ID,
)


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


_NOBODY = (
    f"$argon2id$v={ARGON2_VERSION}$m={MEMORY_KIB},t={PASSES},p={LANES}"
    f"${_base64(token_bytes(SALT_BYTES))}${_base64(token_bytes(HASH_BYTES))}"
)
"""What no password gives: checked where there is nobody, so that it takes as long."""


def check_password(password: str, *names: str) -> str:
    """
    *password* as a new one of the person called *names*.

    Errors: InvalidUser saying what is wrong, never what was typed.
    """
    one = _normal(password)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in one):  # no form of the console sends them
        raise InvalidUser("password", "it has a character that nobody can type")
    if not PASSWORD_CHARS_MIN <= len(one) <= PASSWORD_CHARS_MAX:
        chars = {"low": PASSWORD_CHARS_MIN, "high": PASSWORD_CHARS_MAX}
        raise InvalidUser("password", "%(low)s to %(high)s characters", **chars)
    folded = one.casefold()
    if any(name and not folded.replace(_normal(name).casefold(), "").strip() for name in names):
        raise InvalidUser("password", "it must not be the name")
    if folded in COMMON or len(set(folded)) == 1:
        raise InvalidUser("password", "it is one of those that are tried first; take another one")
    return password


def generate_password() -> str:
    """A password of 124 random bits, easy to read out and to type: 5 groups of 5."""
    groups = [[choice(_GENERATED_CHARS) for _ in range(_GENERATED_GROUP_CHARS)] for _ in range(_GENERATED_GROUPS)]
    return "-".join("".join(group) for group in groups)


def hash_password(password: str) -> str:
    """The hash to keep of *password*: its parameters, a fresh salt and the result. Takes a while: see Passwords."""
    return _HASHER.hash(_normal(password))


def is_password(kept: str, password: str) -> bool:
    """Whether *kept* is the hash of *password*. Takes a while: see Passwords."""
    try:
        return _HASHER.verify(kept, _normal(password))
    except (VerificationError, InvalidHashError):  # another one, or nothing that hash_password() made
        return False


def _normal(password: str) -> str:
    # One keyboard sends é as one character and another one as two (NIST SP 800-63B-4 §3.1.1.2 asks for this).
    return unicodedata.normalize("NFKC", password)


def _stand_back() -> None:
    """Leave the core to claims wherever both want it: a thread of Linux has a priority of its own, others share one."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Passwords:
    """Hashes and checks in threads of its own, so that claims are never kept waiting. Errors: Refusal overloaded."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(CHECKS_AT_ONCE_MAX, "password", initializer=_stand_back)
        self._waiting = 0

    async def is_password(self, kept: str | None, password: str) -> bool:
        """Whether *kept* is the hash of *password*; with None it is not, and that takes as long to find out."""
        # What nobody's password can be, however it is composed, is not hashed: length is no work for us.
        possible = kept is not None and len(password) <= _COMPOSED_CHARS_MAX
        found = await self._beside(is_password, kept or _NOBODY, password if possible else "")
        return found and possible

    async def hash(self, password: str) -> str:
        """The hash to keep of *password*."""
        return await self._beside(hash_password, password)

    async def _beside(self, work: Callable[..., T], *given: str) -> T:
        if self._waiting >= CHECKS_WAITING_MAX:
            raise Refusal("overloaded", "Too many people sign in at this moment; try again.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
