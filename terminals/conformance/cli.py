"""The kit's command line: test a server with --url, or a terminal with --listen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO

import segno

from terminals import pairing
from terminals.conformance.hands import Nobody, Person, Program
from terminals.conformance.report import as_json, exit_code, line, summary
from terminals.conformance.rules import Verdict, run
from terminals.conformance.server import Server, serving
from terminals.conformance.server_rules import RULES as SERVER_RULES
from terminals.conformance.server_rules import ServerBench
from terminals.conformance.terminal_rules import RULES as TERMINAL_RULES
from terminals.conformance.terminal_rules import TerminalBench
from terminals.conformance.watched import Watched

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - what a terminal cannot be told to call
# What a person is asked to do, by verb.
OF_THE_OWNER: Final[Mapping[str, str]] = {
    "reset": "Set a new password for operator {1} on terminal {0}.",
    "pairing-code": "Make a new pairing code for terminal {0} and type it here (nine letters).",
}
AT_THE_TERMINAL: Final[Mapping[str, str]] = {
    "pair": "Pair the terminal again, whether or not it succeeds. The code:\n    {0}",
    "busy": "Turn a sale {0} on the terminal.",
    "signon": "Sign on as operator {0} with {1}, and say whether that succeeded (ok or no).",
    "roll": "Have the terminal change its keys.",
    "forgot": "Begin “forgot password” for operator {0} at the terminal.",
    "question": "Begin an offline unlock for operator {0} and type the ten digits.",
    "answer": "Type {1} for operator {0}; if it is taken, choose {2}. Was it taken (ok or no)?",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, shared with `manage.py conformance`."""
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--url", help="test this server, as a terminal that pairs with --pairing-code")
    side.add_argument("--listen", metavar="HOST:PORT", help="test a terminal, as a server that listens here")
    parser.add_argument("--pairing-code", default="", help="with --url: a fresh code, or the text of its QR")
    parser.add_argument("--origin", default="", help="with --listen: how the terminal reaches us, behind TLS")
    parser.add_argument("--operator", default="03", help="with --listen: whose password may be changed")
    parser.add_argument("--hands", default="", metavar="COMMAND", help="run this for what hands would do")
    parser.add_argument("--ask", action="store_true", help="ask you for what hands would do")
    parser.add_argument("--quick", action="store_true", help="leave out what takes longer than minutes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")


def hands(options: argparse.Namespace, asks: Mapping[str, str]) -> Nobody:
    """Whoever does what the kit cannot."""
    if options.hands:
        return Program(options.hands)
    return Person(asks) if options.ask else Nobody()


def ask_server(options: argparse.Namespace) -> list[Verdict]:
    """Try every rule on the server at --url."""
    bench = ServerBench(options.url.rstrip("/"), options.pairing_code, hands(options, OF_THE_OWNER))
    return run(SERVER_RULES, bench, skip_slow=options.quick, told=_progress(options))


def ask_terminal(options: argparse.Namespace) -> list[Verdict]:
    """Serve on --listen and try every rule on the terminal that pairs with us."""
    host, port = _address(options.listen)
    if host in _EVERYWHERE and not options.origin:
        raise SystemExit(f"--listen {options.listen} needs --origin: how does the terminal reach us?")
    server = Server()
    server.code = pairing.generate().letters.shown()
    with serving(server, host, port, options.origin.rstrip("/")):
        who = hands(options, AT_THE_TERMINAL)
        subject = Watched(server, lambda qr: _show(qr, who, server.code))
        bench = TerminalBench(server, subject, subject.left_alone(who), operator=options.operator)
        told = _progress(options)
        return run(TERMINAL_RULES, bench, skip_slow=options.quick, told=told, between=server.calm)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()):
        raise SystemExit(f"--listen takes HOST:PORT, not {text}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _show(qr: str, who: Nobody, code: str) -> None:
    """Show the code to whoever pairs the terminal; a program of theirs is given it as well."""
    segno.make(qr, error="m").terminal(out=sys.stderr, compact=True)
    _write(sys.stderr, f"Pair the terminal with this code: {code}\n{qr}")
    if isinstance(who, Program):
        who.act("pair", qr)
    _write(sys.stderr, "Waiting for the terminal; then each rule is told as it is tried.")


def _progress(options: argparse.Namespace) -> Callable[[Verdict], None]:
    """Say each verdict as it comes; on standard error when standard output is for a machine."""

    def told(verdict: Verdict) -> None:
        _write(sys.stderr if options.json else sys.stdout, line(verdict))

    return told


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def execute(options: argparse.Namespace) -> int:
    """Test what the options say and print what was found; returns the exit code."""
    verdicts: Sequence[Verdict]
    if options.url:
        if not options.pairing_code:
            raise SystemExit("--url needs a --pairing-code that the server has just shown")
        side, verdicts = "server", ask_server(options)
    else:
        side, verdicts = "terminal", ask_terminal(options)
    _write(sys.stdout, as_json(side, verdicts) if options.json else f"\n{summary(verdicts)}")
    return exit_code(verdicts)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m terminals.conformance`; 0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m terminals.conformance", description=__doc__)
    add_arguments(parser)
    return execute(parser.parse_args(arguments))
