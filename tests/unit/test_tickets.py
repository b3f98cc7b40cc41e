"""Claim tickets: what a ticket says it says for good, and nothing else passes for one."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import Credentials
from gateway.errors import Refusal
from gateway.settings import Settings
from gateway.signing import keyed, segment_of
from gateway.tickets import TICKET_CHARS_MAX, Tickets, ticket_key
from gateway.tokens import KID_BYTES_MAX, TokenVerifier, mint_token, parse_keys
from lua.keys import CampaignId, HolderId

SECRET, OTHER = "s" * 32, "o" * 32
KEYS = parse_keys(f"k1={SECRET},k2={OTHER}")
NOW = 1_800_000_000.0
ANN, FLASH = HolderId("ann"), CampaignId("flash-1")
TICKETS = Tickets(KEYS, leeway_s=5)
CREDENTIALS = Credentials(KEYS, Settings(jwt_leeway_s=5, jwt_audience="shop", jwt_issuer="us"))


def a_ticket(tickets: Tickets = TICKETS, **changes: Any) -> str:
    """A ticket of ann for flash-1, good from NOW for an hour; *changes* override."""
    about = {"holder": ANN, "campaign": FLASH, "now_s": NOW, "expires_s": NOW + 3600, **changes}
    return tickets.mint(about["holder"], about["campaign"], about["now_s"], about["expires_s"])


def a_token(**changes: Any) -> str:
    """A token of ann, good from NOW for an hour."""
    about = {"keys": KEYS, "holder": "ann", "audience": "shop", "issuer": "us", "ttl_s": 3600, "now_s": NOW, **changes}
    return mint_token(about.pop("keys"), about.pop("holder"), **about)


def refused(text: str, campaign: str = FLASH, now: float = NOW, tickets: Tickets = TICKETS) -> str:
    """Why *text* is refused."""
    with pytest.raises(Refusal) as caught:
        tickets.verify(text, campaign, now)
    assert caught.value.code == "unauthenticated"
    return caught.value.detail


BLANK = [chr(number) for number in range(0x7F, 0xA1)]
HOLDERS = st.text(
    st.characters(min_codepoint=0x21, exclude_categories=["Cs"], exclude_characters=BLANK), min_size=1, max_size=128
).filter(lambda holder: len(holder.encode()) <= 128)


@given(HOLDERS, st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True))
def test_a_ticket_names_the_holder_of_its_token(holder: str, campaign: str) -> None:
    """Whatever holder a token may name, and for any campaign, the ticket names the same one."""
    named = CREDENTIALS.holder(a_token(holder=holder), NOW)
    ticket = CREDENTIALS.tickets.mint(named, CampaignId(campaign), NOW, NOW + 60)

    assert CREDENTIALS.claimant(ticket, campaign, NOW) == holder


def test_the_longest_ticket_is_within_its_bound() -> None:
    """With the longest kid, campaign and holder there are, a ticket is good; a longer one is none, its MAC unseen."""
    longest, longer = ({"k" * length: b"s" * 32} for length in (KID_BYTES_MAX, TICKET_CHARS_MAX))
    ticket = a_ticket(Tickets(longest, 5), holder="é" * 64, campaign="c" * 63)
    too_long = a_ticket(Tickets(longer, 5))

    assert Tickets(longest, 5).verify(ticket, "c" * 63, NOW) == "é" * 64
    assert "not a claim ticket" in refused(too_long, tickets=Tickets(longer, 5))


def test_two_tickets_are_never_the_same() -> None:
    """Tickets made of the same things in the same instant differ, and each is good."""
    tickets = {a_ticket() for _ in range(100)}

    assert len(tickets) == 100
    assert {TICKETS.verify(ticket, FLASH, NOW) for ticket in tickets} == {ANN}


def test_a_ticket_is_good_in_its_window_and_the_leeway_around_it() -> None:
    """From not before - 5 s on, until just before expires + 5 s; to the millisecond."""
    ticket = a_ticket(now_s=NOW + 0.25, expires_s=NOW + 60.5)

    assert {TICKETS.verify(ticket, FLASH, now) for now in (NOW - 4.75, NOW + 30, NOW + 65.499)} == {ANN}
    assert "not valid yet" in refused(ticket, now=NOW - 4.751)
    assert "expired" in refused(ticket, now=NOW + 65.5)


@pytest.mark.parametrize("campaign", ["flash-2", "flash-", "flash-11", "FLASH-1", "", "flash-1\n", "fl\udcffsh", "用"])
def test_a_ticket_is_for_its_own_campaign(campaign: str) -> None:
    """On any other campaign, and on what is none, a ticket is refused."""
    assert "another campaign" in refused(a_ticket(), campaign)


def test_a_changed_ticket_is_refused() -> None:
    """Any character changed in any of its bits, taken out or doubled, anywhere, refuses the ticket."""
    ticket = a_ticket()
    for place, was in enumerate(ticket):
        for other in (*(chr(ord(was) ^ 1 << bit) for bit in range(8)), "", was + was):
            assert refused(ticket[:place] + other + ticket[place + 1 :])


def test_a_part_of_a_ticket_is_refused() -> None:
    """Cut off anywhere, at either end, it is none; nor with something before or behind it."""
    ticket = a_ticket()
    for place in range(1, len(ticket)):
        assert refused(ticket[:place])
        assert refused(ticket[place:])
    for more in (" ", ".", "A", "\n", "\0", "=", "é", "\udcff", f".{ticket}"):
        assert refused(ticket + more)
        assert refused(more + ticket)


def test_fields_can_not_be_moved_between_tickets() -> None:
    """A field of one good ticket in another good ticket is a forgery."""
    one = a_ticket().split(".")
    two = a_ticket(holder="bob", campaign="flash-2", now_s=NOW - 60, expires_s=NOW + 7200).split(".")
    for place in range(2, len(one)):
        mixed = [*one]
        mixed[place] = two[place]

        assert "not made here" in refused(".".join(mixed))


def test_a_forger_without_the_key_gets_nowhere() -> None:
    """No MAC, an empty one, one under the JWT secret itself, one under another kid's key: all refused."""
    ticket = a_ticket()
    signed = ticket.rpartition(".")[0]
    for secret in (SECRET.encode(), ticket_key(OTHER.encode()), b""):
        assert "not made here" in refused(f"{signed}.{keyed(secret)(signed.encode()).decode()}")
    assert "not made here" in refused(f"{signed}.")
    assert "not made here" in refused(f"{signed}.{'A' * 43}")
    assert refused(signed)
    with_other_kid = signed.replace(".azE.", f".{segment_of(b'k2').decode()}.")
    assert with_other_kid != signed
    assert "not made here" in refused(f"{with_other_kid}.{ticket.rpartition('.')[2]}")


@pytest.mark.parametrize("version", ["fct_0", "fct_2", "fct_", "FCT_1", "fck_1", "1"])
def test_another_version_is_no_ticket(version: str) -> None:
    """Even with a right MAC, what says it is of another version is refused."""
    fields = [version, *a_ticket().split(".")[1:-1]]
    signed = ".".join(fields).encode()
    mac = keyed(ticket_key(SECRET.encode()))(signed)

    assert "not a claim ticket" in refused((signed + b"." + mac).decode())


def test_tickets_go_with_the_key_they_were_made_with() -> None:
    """A ticket of a kid that is gone, or has another secret now, is refused; one of a kid that stays is good."""
    tickets = Tickets(KEYS, leeway_s=5)
    old = a_ticket(tickets)
    tickets.use_keys(parse_keys(f"k2={OTHER},k1={SECRET}"))
    new = a_ticket(tickets)

    assert {tickets.verify(ticket, FLASH, NOW) for ticket in (old, new)} == {ANN}
    tickets.use_keys(parse_keys(f"k2={OTHER}"))
    assert tickets.verify(new, FLASH, NOW) == ANN
    assert "key that is not known" in refused(old, tickets=tickets)
    tickets.use_keys(parse_keys(f"k2={SECRET}"))
    assert "not made here" in refused(new, tickets=tickets)


def test_a_token_is_no_ticket_and_a_ticket_no_token() -> None:
    """Each is refused as the other, and a JWT signed with the key of tickets is neither."""
    verifier = TokenVerifier(KEYS, "shop", "us", 5)
    by_ticket_key = jwt.encode(
        {"sub": "ann", "aud": "shop", "iss": "us", "exp": NOW + 60}, ticket_key(SECRET.encode()), "HS256", {"kid": "k1"}
    )

    assert "not a claim ticket" in refused(a_token())
    assert "not a claim ticket" in refused(by_ticket_key)
    for credential in (a_ticket(), by_ticket_key, "fct_" + a_token(), a_ticket().removeprefix("fct_")):
        with pytest.raises(Refusal) as caught:
            verifier.verify(credential, NOW)
        assert caught.value.code == "unauthenticated"


def test_a_claimant_comes_with_either_and_everybody_else_with_a_token() -> None:
    """One function answers for a claim, by token or ticket; on any other route a ticket is refused and told why."""
    assert CREDENTIALS.claimant(a_token(), FLASH, NOW) == "ann"
    assert CREDENTIALS.claimant(a_token(), "any-other", NOW) == "ann"
    assert CREDENTIALS.claimant(a_ticket(), FLASH, NOW) == "ann"
    assert CREDENTIALS.holder(a_token(), NOW) == "ann"
    with pytest.raises(Refusal, match="good for a claim only") as caught:
        CREDENTIALS.holder(a_ticket(), NOW)
    assert caught.value.code == "unauthenticated"
    with pytest.raises(Refusal, match="another campaign"):
        CREDENTIALS.claimant(a_ticket(), "any-other", NOW)


def test_a_change_of_keys_is_one_for_tokens_and_tickets() -> None:
    """After use_keys neither a token nor a ticket of a key that is gone is good, though both were a moment ago."""
    credentials = Credentials(KEYS, Settings(jwt_audience="shop", jwt_issuer="us"))
    both = (a_token(), a_ticket())
    assert {credentials.claimant(each, FLASH, NOW) for each in both} == {"ann"}
    credentials.use_keys({"k2": OTHER.encode()})

    for each in both:
        with pytest.raises(Refusal, match="known here"):
            credentials.claimant(each, FLASH, NOW)


@given(st.text(max_size=80) | st.lists(st.text("azE.1_-=", max_size=9), max_size=9).map(".".join))
def test_no_text_makes_it_fail(text: str) -> None:
    """Whatever is sent as a credential is a refusal and never a failure."""
    for credential in (text, f"fct_{text}", f"fct_1.azE.{text}"):
        with pytest.raises(Refusal) as caught:
            CREDENTIALS.claimant(credential, FLASH, NOW)
        assert caught.value.code == "unauthenticated"


def test_the_refusal_never_repeats_the_ticket() -> None:
    """Nothing of a ticket comes back in the answer, so none can end in a log."""
    ticket = a_ticket(holder="secret-holder")
    details = [refused(ticket, "other"), refused(ticket, now=NOW + 9999), refused(ticket + "A"), refused(ticket[:-50])]

    for part in ("secret-holder", "flash-1", *ticket.split(".")[1:]):
        assert not any(part in detail for detail in details)
