"""
How a run starts, in every process of it.

The process that leads (the master, or the only one) makes the plan and opens the sale when a test starts, and sends the
plan to the workers before they get users. Each process then mints the tokens of its part of the people. No secret
travels: every process has a ready file, or variables, of its own; what --api-key said is taken out of Locust's options
before anything shows them or sends them on.
"""

import logging
import os
import secrets
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import gevent  # type: ignore[import-untyped]
import msgspec
from locust import events
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING, MasterRunner, WorkerRunner

from loadtest.run.arguments import Options, add_arguments
from loadtest.run.opening import CantOpen, Gateway, open_campaigns
from loadtest.run.plan import Part, Plan, parts
from loadtest.shapes import sales_of
from loadtest.target import NoTarget

log = logging.getLogger("loadtest")

USAGE, UNREACHABLE = 2, 6
"""Exit codes: an argument is wrong; the system is not there."""
PLAN, PLAN_WANTED, READY = "fairclaim_plan", "fairclaim_plan_wanted", "fairclaim_ready"
READY_S_MAX = 120.0
"""How long the leader waits for its workers' tokens: a million each take a worker ten seconds."""
DISMISS_S_MAX = 5.0
_STARTED_AS = os.getpid()


def on_init(environment: Environment, **_more: Any) -> None:
    """Keep what this process was given, take secrets out of Locust's hands, and find the system."""
    _catch_ctrl_c(environment)
    parsed = environment.parsed_options
    assert parsed is not None
    if parsed.headless and not isinstance(environment.runner, WorkerRunner):
        _end_by_term(environment)
    try:
        given = Options.of(parsed)
    except ValueError as error:
        _exit(environment, USAGE, str(error))
    parsed.api_key = parsed.ready_file = ""
    part = parts[environment] = Part(given, parsed.host or "")
    try:
        target = part.find()
    except NoTarget as error:
        what = "this worker can't get in: " if isinstance(environment.runner, WorkerRunner) else ""
        _exit(environment, UNREACHABLE, f"{what}{error}")
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message(PLAN, _on_plan, concurrent=True)
        _keep_tagged(environment)
        return
    part.host_found = "" if environment.host else target.gateway_url
    environment.host = environment.host or target.gateway_url
    if isinstance(runner, MasterRunner):
        runner.register_message(PLAN_WANTED, _on_plan_wanted)
        runner.register_message(READY, _on_ready)
    _keep_tagged(environment)


def on_test_start(environment: Environment, **_more: Any) -> None:
    """Make the plan and open the sale, where this process leads; else see to it that there will be a plan."""
    runner, part = environment.runner, parts[environment]
    if isinstance(runner, WorkerRunner):
        part.options = Options.of(environment.parsed_options)
        environment.host = part.host or environment.host
        if not part.settled.is_set():
            # Whoever comes late was not there when the plan was sent.
            runner.send_message(PLAN_WANTED)
        return
    part.begin()
    try:
        part.options = Options.of(environment.parsed_options)
        plan, target = _planned(environment, part), part.find()
        if isinstance(runner, MasterRunner):
            part.lead(_minted(runner, plan), target)
            return
        part.settle(plan, target, 0)
        part.settle(_started(plan), target, 0)
    except (ValueError, NoTarget, CantOpen) as error:
        _give_up(environment, part, USAGE if isinstance(error, ValueError) else UNREACHABLE, str(error))


def on_test_stop(environment: Environment, **_more: Any) -> None:
    """The next run is another one."""
    if isinstance(environment.runner, WorkerRunner):
        parts[environment].begin()


def _planned(environment: Environment, part: Part) -> Plan:
    options, target = part.options, part.find()
    if environment.host == part.host_found:
        # Nobody said another one; the system may have been started again since, on another port.
        environment.host = part.host_found = target.gateway_url
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    first = options.campaign or f"load-{run}"
    campaigns = [first, *(f"{first}-{sale}" for sale in range(2, sales_of(options.shape) + 1))]
    host = environment.host or target.gateway_url
    opened = open_campaigns(Gateway(host, target.admin_key), campaigns, options.stock, options.limit)
    runner = environment.runner
    return Plan(
        run=run,
        campaigns=tuple(campaigns),
        stock=opened[0].stock,
        limit=opened[0].limit,
        holders=options.holders,
        seed=options.seed,
        started_s=0.0,
        shape=options.shape,
        created=all(campaign.created for campaign in opened),
        parts=max(1, runner.worker_count) if isinstance(runner, MasterRunner) else 1,
        users=options.users,
        spawn_rate=options.spawn_rate,
        run_time_s=options.run_time_s,
        host="" if host == target.gateway_url else host,
    )


_waiting: "WeakKeyDictionary[MasterRunner, set[str]]" = WeakKeyDictionary()


def _started(plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, started_s=time.time())


def _minted(runner: MasterRunner, plan: Plan) -> Plan:
    """*plan*, started: every worker has it and, but for who took too long, its tokens."""
    workers = _waiting[runner] = _present(runner)
    _send(runner, plan)
    deadline = time.monotonic() + READY_S_MAX
    while workers & _present(runner) and time.monotonic() < deadline:
        gevent.sleep(0.02)
    plan = _started(plan)
    _send(runner, plan)
    return plan


def _present(runner: MasterRunner) -> set[str]:
    return {worker.id for worker in [*runner.clients.ready, *runner.clients.spawning, *runner.clients.running]}


def _send(runner: MasterRunner, plan: Plan) -> None:
    for worker in _present(runner):
        runner.send_message(PLAN, msgspec.to_builtins(plan), worker)


def _on_plan_wanted(environment: Environment, msg: Any, **_more: Any) -> None:
    part = parts[environment]
    if part.plan is not None and isinstance(environment.runner, MasterRunner):
        environment.runner.send_message(PLAN, msgspec.to_builtins(part.plan), msg.node_id)


def _on_ready(environment: Environment, msg: Any, **_more: Any) -> None:
    runner = environment.runner
    assert isinstance(runner, MasterRunner)
    _waiting.setdefault(runner, set()).discard(msg.node_id)
    if msg.data["says"]:
        log.error("worker %s takes no part: %s", msg.node_id, msg.data["says"])


def _on_plan(environment: Environment, msg: Any, **_more: Any) -> None:
    runner, part = environment.runner, parts[environment]
    assert isinstance(runner, WorkerRunner)
    plan = msgspec.convert(msg.data, Plan)
    if part.run != plan.run:
        part.begin()
    try:
        part.settle(plan, part.find(), runner.worker_index)
    except NoTarget as error:
        part.fail(str(error))
        log.error("this worker can't get in: %s", error)
    runner.send_message(READY, {"says": part.failed})


def _give_up(environment: Environment, part: Part, code: int, says: str) -> None:
    """End the run before it began: the program too, where nobody looks at a web page."""
    log.error(says)
    part.fail(says)
    runner, parsed = environment.runner, environment.parsed_options
    assert runner is not None
    assert parsed is not None
    if not parsed.headless:
        gevent.spawn(runner.stop)
        return
    environment.process_exit_code = code
    gevent.spawn(runner.quit)
    raise gevent.GreenletExit


def _exit(environment: Environment, code: int, says: str) -> NoReturn:
    """One line, then the end; those forked off by --processes leave the line to the one that forked them."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        # Not "quit", after which a master without other workers would never take another one.
        runner.send_message("client_stopped")
    if isinstance(runner, MasterRunner):
        _dismiss(runner, environment)
    if os.getpid() == _STARTED_AS or "--worker" in sys.argv or os.environ.get("LOCUST_MODE_WORKER"):
        print(f"locust: error: {says}", file=sys.stderr, flush=True)
    sys.exit(code)


def _dismiss(runner: MasterRunner, environment: Environment) -> None:
    """
    Send away the workers that --processes forked. Those that never reached a master would try the next one's port.
    """
    parsed = environment.parsed_options
    if parsed is None or not parsed.processes:
        return
    deadline = time.monotonic() + DISMISS_S_MAX
    while runner.worker_index_max < parsed.processes and time.monotonic() < deadline:
        gevent.sleep(0.02)
    runner.quit()


def _catch_ctrl_c(environment: Environment) -> None:
    """
    See to it that Ctrl-C ends the program, and not what a user was about just then.

    Python raises KeyboardInterrupt in whatever runs: mostly somebody's request, where a bare except of the HTTP client
    was seen to swallow it one time in six. The first one that comes when a run without a web page is ending anyway
    changes nothing: Locust would be torn out of what it does last.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    hub, asked = gevent.get_hub(), False

    def interrupt() -> None:
        nonlocal asked
        if asked or not _ending(environment):
            hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
        asked = True

    gevent.signal_handler(signal.SIGINT, interrupt)


def _end_by_term(environment: Environment) -> None:
    """
    See to it that the first TERM ends a run like Ctrl-C, with everything told and judged.

    Locust listens to it only when a shape is over: until then its program was gone without a word.
    """
    hub = gevent.get_hub()

    def end() -> None:
        watcher.cancel()
        if not _ending(environment):
            hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    watcher = gevent.signal_handler(signal.SIGTERM, end)


def _ending(environment: Environment) -> bool:
    """Whether the run, the only one of a program without a web page, is over by itself."""
    runner = environment.runner
    if runner is None or isinstance(runner, WorkerRunner) or environment.web_ui is not None:
        return False
    return runner.state in (STATE_STOPPING, STATE_STOPPED, STATE_CLEANUP)


def _keep_tagged(environment: Environment) -> None:
    """Leave out the users that --tags or --exclude-tags leave nothing to do: Locust would fail to make them."""
    parsed = environment.parsed_options
    assert parsed is not None
    wanted, unwanted = set(parsed.tags or ()), set(parsed.exclude_tags or ())

    def does(task: Any) -> bool:
        tags: set[str] = getattr(task, "locust_tag_set", set())
        return (not wanted or bool(tags & wanted)) and not tags & unwanted

    kept = [user for user in environment.user_classes if any(does(task) for task in user.tasks)]
    if not kept:
        _exit(environment, USAGE, "no user is left by --tags and --exclude-tags: there are claim, bot, wallet, till, "
              "marketer and finance")  # fmt: skip
    environment.user_classes[:] = kept


events.init_command_line_parser.add_listener(add_arguments)  # type: ignore[no-untyped-call]
events.init.add_listener(on_init)  # type: ignore[no-untyped-call]
events.test_start.add_listener(on_test_start)  # type: ignore[no-untyped-call]
events.test_stop.add_listener(on_test_stop)  # type: ignore[no-untyped-call]
