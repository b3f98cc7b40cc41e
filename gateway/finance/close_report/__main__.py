"""
`python -m gateway.finance.close_report html|pdf LOCALE`: a report on stdin, the page or the PDF on stdout.

A program of its own, because a page of thousands of rows takes seconds, in which a gateway's loop decides claims.
"""

import sys

import msgspec

from gateway.finance.close_report.render import RENDERERS, Given


def main(form: str, locale: str) -> None:
    """Render what is on stdin. Errors: BadLocale, msgspec.DecodeError."""
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Given)
    sys.stdout.buffer.write(RENDERERS[form](given, locale))


if __name__ == "__main__":
    main(*sys.argv[1:])
