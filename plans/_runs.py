"""A run whose stop document says why it ended."""

from __future__ import annotations

from collections.abc import Mapping

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator, RunEngineControlException


def run_with_reason(plan: MsgGenerator[str], md: Mapping[str, object]) -> MsgGenerator[str]:
    """Run ``plan`` inside a run, and return the uid of the run.

    What ``plan`` returns becomes the ``reason`` in the stop document; an exception fails the run with its text as the reason.
    """
    uid = yield from bps.open_run(dict(md))

    def failed(error: Exception) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException):
            yield from bps.close_run(exit_status=getattr(error, "exit_status", "abort"))
        else:
            yield from bps.close_run(exit_status="fail", reason=str(error))

    reason = yield from bpp.contingency_wrapper(plan, except_plan=failed)
    yield from bps.close_run(reason=reason)
    return uid
