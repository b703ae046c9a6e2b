"""``desk``, ``desk-token``: a page that watches and steers a run, and the tokens of those who may."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import Folder, out
from bluesky_stm.errors import SettingsError

PeopleFile = Annotated[Path | None, typer.Option("--people", help="Who may do what; else ~/.config/bluesky_stm/people.yaml.")]


@app.command()
def desk(
    *,
    catalog: Folder,
    people: PeopleFile = None,
    queue: Annotated[
        str, typer.Option(help="Control address of a queue server, to show its queue and to ask through it.")
    ] = "",
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this host reach 127.0.0.1 not at all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8642,
    host_name: Annotated[
        list[str] | None, typer.Option(help="Name under which a proxy reaches the desk; may be repeated.")
    ] = None,
    user_header: Annotated[str, typer.Option(help="Header in which the proxy of the facility names its user.")] = "",
    proxy: Annotated[list[str] | None, typer.Option(help="Address from which that header is believed; else this host.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Watching needs a token, too.")] = False,
) -> None:
    """Serve a page that shows the run that goes on, and from which people who may steer it; until Ctrl-C.

    Nobody writes without a token: bluesky-stm desk-token makes them. Where there are none yet, one for you is made that holds
    as long as this desk does.
    """
    from bluesky_stm.desk import People, people_file, put_together, serve, this_user_alone

    if host not in {"127.0.0.1", "localhost", "::1"} and not host_name:
        raise SettingsError(
            f"At {host} others than this host would reach the desk, unencrypted. Nothing has been started. Let a proxy with "
            "TLS reach it on 127.0.0.1, or name the desk with --host-name."
        )
    path = people or people_file()
    if path.is_file():
        known = People.read(path)
    else:
        known, token = this_user_alone()
        out.print(
            f"Nobody is known in {path}. To steer, give this token on the page, which ends with this desk: {token}",
            soft_wrap=True,
        )
    options = {"open_watch": not closed and not user_header, "user_header": user_header}
    if host_name:
        options["hosts"] = tuple(name.lower() for name in host_name)
    if proxy:
        options["proxies"] = tuple(proxy)
    application = put_together(Path(catalog).expanduser(), known, queue=queue, **options)
    out.print(f"The desk: http://{host}:{port}/", soft_wrap=True)
    serve(application, host, port)


@app.command("desk-token")
def desk_token(
    name: Annotated[str, typer.Argument(help="Person, for the documents.")],
    role: Annotated[str, typer.Option(help="watch, propose, steer or operate.")] = "steer",
    people: PeopleFile = None,
    remove: Annotated[bool, typer.Option("--remove", help="This person may do nothing any more.")] = False,
) -> None:
    """Make a token for a person who may watch, propose, steer or operate; it is shown once, and only its digest is kept."""
    from bluesky_stm.desk import People, new_person, people_file, write_people

    path = people or people_file()
    known = [one for one in (People.read(path).known if path.is_file() else ()) if one.name != name]
    if remove:
        write_people(path, known)
        out.print(f"{name} is no longer known in {path}.", soft_wrap=True)
        return
    person, token = new_person(name, role)
    write_people(path, [*known, person])
    out.print(f"{name} may {role}, by the token: {token}", soft_wrap=True)
    out.print(f"Only its digest is kept, in {path}. A desk that is running knows it when it is started again.", soft_wrap=True)
