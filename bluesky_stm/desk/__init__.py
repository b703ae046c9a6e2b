"""The night desk: a page that watches a run and steers it, each request checked, refused in words, and on record.

It reads the journal that a session writes, and asks at the door of that session, or through a queue server: the run never
notices when the desk, a browser or the network dies.
"""

from bluesky_stm.desk._agents import serve_mcp
from bluesky_stm.desk._app import make_app
from bluesky_stm.desk._board import Board, Feed
from bluesky_stm.desk._desk import Desk, Way
from bluesky_stm.desk._errors import CODES, Refused
from bluesky_stm.desk._guard import Door
from bluesky_stm.desk._people import ROLES, People, Person, new_person, people_file, this_user_alone, write_people
from bluesky_stm.desk._proposals import Proposals
from bluesky_stm.desk._serve import decide, put_together, serve

__all__ = [
    "CODES",
    "ROLES",
    "Board",
    "Desk",
    "Door",
    "Feed",
    "People",
    "Person",
    "Proposals",
    "Refused",
    "Way",
    "decide",
    "make_app",
    "new_person",
    "people_file",
    "put_together",
    "serve",
    "serve_mcp",
    "this_user_alone",
    "write_people",
]
