"""The people of a run: seeded, shared out among processes, with tokens a gateway takes; and how a system is found."""

import json
from pathlib import Path

import jwt
import pytest

from loadtest.run.identities import Identities
from loadtest.target import NoTarget, Target, TokenMint

JWT = {"kid": "k1", "secret": "s" * 40, "audience": "fairclaim", "issuer": "fairclaim"}
READY = {
    "gateway_url": "http://g",
    "redis_url": "redis://r",
    "postgres_url": "postgres://p",
    "admin_key": "fck_1",
    "jwt": JWT,
}


def people(part: int, count: int = 5, seed: int = 1) -> Identities:
    """A part of the people, minted."""
    found = Identities(Target.of(READY).tokens(), seed, part, count)
    assert list(found.mint()) == list(range(1, count + 1))
    return found


def test_the_same_seed_is_the_same_people_and_parts_share_none() -> None:
    """Whoever runs it again has the same names; no two processes have one in common."""
    first, again, other, reseeded = (
        [identities.next().name for _ in range(5)]
        for identities in (people(0), people(0), people(1), people(0, seed=2))
    )

    assert first == again
    assert len({*first, *other, *reseeded}) == 15


def test_after_everybody_it_is_the_first_ones_turn_again() -> None:
    """With what he was told kept."""
    identities = people(0, 2)
    first, second = identities.next(), identities.next()
    first.has("flash", "C1")

    assert identities.next() is first
    assert identities.next() is second
    assert first.told == {"flash": ["C1"]}


def test_others_are_nobody_of_the_crowd() -> None:
    """Bots and customers of tills have names of their own."""
    identities = people(0)
    names = {identities.next().name for _ in range(5)}
    others = {identities.another("bot").name, identities.another("bot").name, identities.another("t").name}

    assert len(names | others) == 8


@pytest.mark.parametrize("secret", ["s" * 32, "s" * 64, "s" * 100])
def test_a_token_is_what_a_library_takes_for_one(secret: str) -> None:
    """HS256 by hand is HS256, with secrets that are shorter and longer than a block."""
    token = TokenMint({**JWT, "secret": secret}, 4_000_000_000).token("h1-0-7")
    claims = jwt.decode(token, secret, ["HS256"], audience="fairclaim", issuer="fairclaim")

    assert claims["sub"] == "h1-0-7"
    assert jwt.get_unverified_header(token)["kid"] == "k1"


def test_a_ready_file_is_found_by_argument_variable_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, else FAIRCLAIM_READY_FILE, else the data directory's."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b.json", "c/ready.json", ".fairclaim/ready.json"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({**READY, "gateway_url": name}))
    variables = {"FAIRCLAIM_READY_FILE": "b.json", "FAIRCLAIM_DATA_DIR": "c"}

    assert Target.find("a.json", environment=variables).gateway_url == "a.json"
    assert Target.find(environment=variables).gateway_url == "b.json"
    assert Target.find(environment={"FAIRCLAIM_DATA_DIR": "c"}).gateway_url == "c/ready.json"
    assert Target.find(environment={}).gateway_url == ".fairclaim/ready.json"


def test_variables_stand_in_for_a_ready_file(tmp_path: Path) -> None:
    """On another machine there is none; a variable also wins over what the file says."""
    variables = {
        "FAIRCLAIM_GATEWAY_URL": "http://there",
        "FAIRCLAIM_API_KEY": "fck_2",
        "FAIRCLAIM_JWT_KEYS": "k2=secret2,k1=secret1",
        "FAIRCLAIM_JWT_ISSUER": "us",
    }
    found = Target.find(str(tmp_path / "none.json"), environment=variables)
    (tmp_path / "ready.json").write_text(json.dumps(READY))

    assert (found.gateway_url, found.admin_key, found.redis_url) == ("http://there", "fck_2", "")
    assert found.jwt == {"kid": "k2", "secret": "secret2", "audience": "fairclaim", "issuer": "us"}
    assert Target.find(str(tmp_path / "ready.json"), environment={"FAIRCLAIM_API_KEY": "fck_2"}).admin_key == "fck_2"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no ready file"),
        ("{", "can't be read"),
        ("[]", "holds no object"),
        (json.dumps({**READY, "admin_key": ""}), "does not say FAIRCLAIM_API_KEY"),
    ],
)
def test_where_nothing_says_it_the_error_says_what_to_do(tmp_path: Path, content: str | None, says: str) -> None:
    """No traceback: the file's name, what is missing, and how to put it right; no secret."""
    file = tmp_path / "ready.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(NoTarget, match=says) as missing:
        Target.find(str(file), environment={})

    assert str(file) in str(missing.value)
    assert JWT["secret"] not in str(missing.value)
