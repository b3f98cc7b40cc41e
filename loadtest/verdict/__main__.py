"""
The verdict on a run that is over, from the file of what its crowd was told.

    python -m loadtest.verdict --ready-file ready.json --told results/x/told.csv.gz \\
        --campaign flash-1 --stock 5000 --limit 1

Each --campaign takes the --stock it was made with and its --limit with it. Without a --stock it was there before the
run, and has what the books say it had then; without a --limit it is the campaign's own. Campaigns that the file names
and nobody else does are judged like that too. Exit codes: 0 it holds · 1 it does not, and the first row that violates
each check is shown · 2 wrong arguments, or a file that can't be read · 6 the gateway or PostgreSQL can't be reached.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from loadtest.target import Target
from loadtest.told import read_told
from loadtest.verdict.books import NoSuchCampaign
from loadtest.verdict.judging import Expected, judge

AWAY = 6


class _OfCampaign(argparse.Action):
    """An option of the --campaign before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if self.dest == "campaign":
            namespace.campaigns = [*namespace.campaigns, Expected(str(values))]
            return
        if not namespace.campaigns:
            parser.error(f"{option_string} follows the --campaign it is of")
        *others, last = namespace.campaigns
        namespace.campaigns = [*others, last._replace(**{self.dest: values})]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        target = Target.read(chosen.ready_file)
        verdict = judge(
            target, chosen.campaigns, read_told(chosen.told), wait_s=chosen.wait, seed=chosen.seed, watch=progress()
        )
    except NoSuchCampaign as error:
        parser.error(str(error))
    except psycopg.Error as error:
        parser.exit(AWAY, f"{parser.prog}: PostgreSQL: {error}\n")
    except (KeyError, ValueError, EOFError) as error:
        parser.error(str(error))
    except OSError as error:
        if error.filename is not None:
            parser.error(str(error))
        parser.exit(AWAY, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: given up; nothing has changed\n")
    print(json.dumps(verdict.to_dict(), indent=2) if chosen.json else verdict.screen())
    return 0 if verdict.holds else 1


def progress() -> Callable[[str], None]:
    """Says on a terminal what is done now, on one line; nowhere else."""
    if not sys.stderr.isatty():
        return lambda doing: None
    return lambda doing: print(f"\r\033[K{doing} …\r", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.verdict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(campaigns=[])
    parser.add_argument("--ready-file", type=Path, required=True, help="what fairclaim up --ready-file wrote")
    parser.add_argument("--told", type=Path, required=True, help="what the crowd was told: told.csv or told.csv.gz")
    parser.add_argument("--campaign", action=_OfCampaign, help="a campaign of the run; once or more")
    parser.add_argument("--stock", type=int, action=_OfCampaign, help="the stock that campaign was made with")
    parser.add_argument("--limit", type=int, action=_OfCampaign, help="coupons a holder may have of that campaign")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="for the books (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample that is compared with Redis (default 1)")
    parser.add_argument("--json", action="store_true", help="the verdict as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
