"""What waits for one page, however slow it is."""

from digitlab.web.sockets import _Reader
from tests.web.loops import run


def test_a_page_that_falls_behind_gets_the_state_and_all_news() -> None:
    async def found() -> list[list[str]]:
        reader, taken = _Reader(), []
        reader.offer("1", [])
        taken.append(reader.take(lambda: "state"))
        reader.offer("2", ["depth"])
        reader.offer(None, ["writers"])
        taken.append(reader.take(lambda: "state"))
        for update in ("3", "4", "5"):
            reader.offer(update, ["depth"])
        taken.append(reader.take(lambda: "state"))
        taken.append(reader.take(lambda: "state"))
        return taken

    assert run(found()) == [["state"], ["2", "depth", "writers"], ["state", "depth"], []]
