"""Why something did not arrive: kept in English, and said to people in their language."""

import re

from gateway.console.locales import N_, Words

NO_ANSWER = N_("no answer in time")
NO_CONNECTION = N_("no connection, or no certificate that is trusted")
BROKE = N_("the connection broke (%(what)s)")
NOT_PUBLIC = N_("the address is not public, and FAIRCLAIM_ALERT_NETWORKS does not allow it")
NO_NAME = N_("there is no such name")
ANSWERED = N_("the receiver answered %(what)s")
NO_MAIL = N_("no SMTP server is set (FAIRCLAIM_SMTP_HOST)")
MAIL_ANSWERED = N_("the mail server answered %(what)s")
MAIL_REFUSED = N_("the mail server refused the address (%(what)s)")
MAIL_AWAY = N_("the mail server can't be reached (%(what)s)")
NO_SUCH_MAIL = N_("it can't be written as a mail; look at FAIRCLAIM_SMTP_FROM")
_ALL = (
    *(NO_ANSWER, NO_CONNECTION, BROKE, NOT_PUBLIC, NO_NAME, ANSWERED),
    *(NO_MAIL, MAIL_ANSWERED, MAIL_REFUSED, MAIL_AWAY, NO_SUCH_MAIL),
)
_PATTERNS = [(re.compile(re.escape(text).replace(re.escape("%(what)s"), "(.+)")), text) for text in _ALL]


def said(reason: str | None, words: Words) -> str:
    """*reason*, which is one of these, in the language of *words*; another one as it is."""
    for pattern, text in _PATTERNS:
        found = pattern.fullmatch(reason or "")
        if found:
            return words.say(text, **({"what": found[1]} if found.groups() else {}))
    return reason or ""
