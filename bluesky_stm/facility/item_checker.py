"""The process that checks items for a queue server: ``python -m bluesky_stm.facility.item_checker``.

It reads ``[number, plan, parameters]`` and answers ``[number, why it is refused]``, each a line of JSON.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Answer until nobody asks any more."""
    from bluesky_stm.facility import check
    from bluesky_stm.submission import RefusedError

    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may stand among the answers
    for line in sys.stdin:
        number, name, given = json.loads(line)
        refused = ""
        try:
            check(name, given)
        except RefusedError as error:
            refused = str(error)
        except Exception as error:  # the fault of a part, of a happi data base: the item would fail by it
            refused = f"{type(error).__name__}: {error}"
        try:
            answers.write(json.dumps([number, refused]) + "\n")
            answers.flush()
        except BrokenPipeError:  # whoever asked is gone
            return


if __name__ == "__main__":
    main()
