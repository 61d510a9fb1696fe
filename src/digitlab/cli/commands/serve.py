"""`digitlab serve`: the laboratory as a page in the browser."""

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.browser import browser_with_window
from digitlab.cli.engines import WorkersOption
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import stderr, stdout
from digitlab.errors import DigitlabError, with_extra

if TYPE_CHECKING:
    from digitlab.web.serving import Addresses


def serve(
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, show_default="8420, or the next that is free", help="0: any that is free."
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Other machines may reach it, with the token.")
    ] = False,
    classroom: Annotated[
        bool,
        typer.Option("--classroom", help="A second link, for a class: it looks, draws, trains a little."),
    ] = False,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the browser.")] = True,
    workers: WorkersOption = None,
    store_file: StoreOption = None,
) -> None:
    """Draw digits, watch networks learn, explore the studies: in the browser."""
    missing = [name for name in ("fastapi", "uvicorn", "websockets") if find_spec(name) is None]
    if missing:
        raise DigitlabError(
            f"the page needs {' and '.join(missing)}, not installed here; {with_extra('web')}"
        )
    from digitlab.web.serving import check_host
    from digitlab.web.serving import serve as serve_page

    check_host(host, allow_remote=allow_remote)

    def tell(addresses: "Addresses") -> None:
        out = stdout()
        out.print(addresses.own, soft_wrap=True, highlight=False)
        if addresses.of_class is not None:
            out.print(f"for the class: {addresses.of_class}", soft_wrap=True, highlight=False)
        out.file.flush()
        stderr().print("Ctrl-C ends it.")
        if opens and (browser := browser_with_window()):
            threading.Thread(target=browser.open, args=(addresses.own,), daemon=True).start()

    with opened(store_file) as store:
        serve_page(
            store,
            host=host,
            port=port,
            allow_remote=allow_remote,
            classroom=classroom,
            workers=workers,
            on_ready=tell,
        )
