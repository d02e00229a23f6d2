"""What it means when a provider's HTTP side answers nothing that can be read."""

from __future__ import annotations

from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, Timeout
from urllib3.exceptions import NewConnectionError

from portal.messaging.gateways import GatewayError, error_for


def error_of(error: BaseException | None) -> GatewayError:
    """The error of a failed request: nothing went out, or silence, which once it is out means unknown."""
    if isinstance(error, ConnectTimeout):
        return error_for("unreachable")
    if isinstance(error, Timeout):
        return error_for("timeout")
    if isinstance(error, ConnectionFailed):
        return error_for("unreachable" if _never_left(error) else "timeout")
    return error_for("garbled")


def _never_left(error: ConnectionFailed) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)
