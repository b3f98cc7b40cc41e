"""The door to an SMTP server, which settings name. smtplib does it, in threads of its own, with a deadline a step."""

import asyncio
import re
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

from gateway.alerts.outward import Undelivered
from gateway.alerts.reasons import MAIL_ANSWERED, MAIL_AWAY, MAIL_REFUSED, NO_MAIL
from gateway.settings import Settings

STEP_S_MAX = 10.0
SECONDS_MAX = 40.0
"""A mail takes no longer than this, whatever the server does."""
AT_ONCE_MAX = 4
_MAILS = ThreadPoolExecutor(AT_ONCE_MAX, "alerts-mails")
"""A server that hangs holds a thread for minutes: none of those that anything else waits for, as quotes do."""
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def is_mail_address(text: str) -> bool:
    """Whether *text* is one address and nothing else: no name beside it, no second one."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


class Mailer:
    """Sends mails by the server of *settings*."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def is_there(self) -> bool:
        """Whether settings name a server."""
        return bool(self._settings.smtp_host)

    async def send(self, message: EmailMessage) -> None:
        """Hand it over. Errors: Undelivered."""
        if not self.is_there:
            raise Undelivered(NO_MAIL)
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await asyncio.get_running_loop().run_in_executor(_MAILS, self._send, message)
        except smtplib.SMTPResponseException as error:
            raise Undelivered(MAIL_ANSWERED % {"what": error.smtp_code}) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(str(code) for code, _ in error.recipients.values())
            raise Undelivered(MAIL_REFUSED % {"what": codes}) from None
        except (smtplib.SMTPException, OSError) as error:  # a timeout is an OSError
            raise Undelivered(MAIL_AWAY % {"what": type(error).__name__}) from None

    def _send(self, message: EmailMessage) -> None:
        known = self._settings
        context = ssl.create_default_context()
        if known.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                known.smtp_host, known.smtp_port, timeout=STEP_S_MAX, context=context
            )
        else:
            server = smtplib.SMTP(known.smtp_host, known.smtp_port, timeout=STEP_S_MAX)
        with server:
            if known.smtp_security == "starttls":
                server.starttls(context=context)
            if known.smtp_user:
                server.login(known.smtp_user, known.smtp_password)
            server.send_message(message)
