"""How quick the page is: first paint, and whether it stays fluid while ten networks train.

python -m benchmarks.page writes benchmarks/results/page.md.
"""

import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.web.browser.conftest import CHROMIUM, Server, start_server, stop_server

RESULT = Path(__file__).parent / "results" / "page.md"
LOADS = 10
RUNS = 10
WATCHED_SECONDS = 20
LONG_TASK = 50
"""Milliseconds from which a browser calls a task long."""
FRAME = 16
"""Milliseconds from one frame to the next."""

WATCH = """
window.longTasks = [];
window.frames = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((one) => one.duration)))
  .observe({type: "longtask"});
let before = performance.now();
const frame = (now) => { window.frames.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
window.changes = 0;
const all = {subtree: true, childList: true, characterData: true};
new MutationObserver(() => window.changes++).observe(document.querySelector(".runs"), all);
"""


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = start_server(Path(folder) / "runs.db")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            paints = [_first_paint(browser, server) for _ in range(LOADS)]
            found = _with_live_runs(browser, server)
            version = browser.version
        finally:
            browser.close()
            stop_server(server)
    RESULT.write_text(_table(paints, found, version), encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def _entered(browser: Browser, server: Server) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(server.entry)
    return page


def _first_paint(browser: Browser, server: Server) -> float:
    """Milliseconds until the first contentful paint of a browser that has nothing cached."""
    page = _entered(browser, server)
    page.get_by_role("button", name="Train", exact=True).wait_for()
    page.wait_for_timeout(300)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.context.close()
    return float(paint)


def _with_live_runs(browser: Browser, server: Server) -> dict[str, Any]:
    """What a page sees of its own tasks while it shows ten runs that train."""
    page = _entered(browser, server)
    page.goto(
        f"{server.url}/train?epochs=500&race=learning_rate&values="
        + ",".join(str(2.0**-n) for n in range(1, RUNS + 1))
    )
    page.get_by_role("button", name="Race", exact=True).click()
    page.locator(".run[data-status=training]").nth(RUNS - 1).wait_for()
    page.wait_for_timeout(2_000)
    page.evaluate(WATCH)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _busy_seconds(session)
    worked = _traced(browser, page)
    busy = _busy_seconds(session) - before
    found: dict[str, Any] = page.evaluate("({tasks: longTasks, frames, changes})")
    found |= {"busy": busy, "worked": worked}
    page.get_by_role("button", name=f"Stop all {RUNS}").click()
    return found


def _traced(browser: Browser, page: Page) -> list[float]:
    """Processor time of each task of the page's main thread while it is watched, in milliseconds."""
    session, events, ended = browser.new_browser_cdp_session(), list[dict[str, Any]](), list[bool]()
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda _: ended.append(True))
    categories = {"includedCategories": ["toplevel", "disabled-by-default-devtools.timeline", "__metadata"]}
    session.send("Tracing.start", {"traceConfig": categories, "transferMode": "ReportEvents"})
    page.wait_for_timeout(WATCHED_SECONDS * 1_000)
    session.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(100)
    names = [event for event in events if event["name"] == "thread_name"]
    threads = {_thread(event) for event in names if event["args"]["name"] == "CrRendererMain"}
    tasks = [event for event in events if event["name"] == "RunTask" and _thread(event) in threads]
    by_thread: dict[tuple[int, int], list[float]] = {thread: [] for thread in threads}
    for event in tasks:
        by_thread[_thread(event)].append(event.get("tdur", 0) / 1_000)
    return max(by_thread.values(), key=sum)  # the page's: others wait


def _thread(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def _busy_seconds(session: CDPSession) -> float:
    """Processor time that the page's main thread has taken, however long it had to wait for a processor."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def _table(paints: list[float], found: dict[str, Any], version: str) -> str:
    tasks, frames = found["tasks"], sorted(found["frames"])
    longest = f", the longest {max(tasks):.0f} ms" if tasks else ""
    median, rare = statistics.median(frames), frames[int(0.99 * len(frames))]
    rows = {
        f"first contentful paint: median and range of {LOADS} loads without a cache": (
            f"{statistics.median(paints):.0f} ms, {min(paints):.0f} to {max(paints):.0f} ms"
        ),
        f"tasks of the page over {LONG_TASK} ms in {WATCHED_SECONDS} s": f"{len(tasks)}{longest}",
        "processor time of the page's main thread in that time; for each frame": (
            f"{found['busy']:.2f} s; {1000 * found['busy'] / len(frames):.1f} ms"
        ),
        "the longest task of the page in processor time, without its waiting for a processor": (
            f"{max(found['worked']):.0f} ms; {sum(task > FRAME for task in found['worked'])} over {FRAME} ms"
        ),
        "frames in that time": f"{len(frames)}",
        "from one frame to the next: median, 99th percentile": f"{median:.0f} ms, {rare:.0f} ms",
        "changes of the list of runs in that time": f"{found['changes']}",
    }
    lines = [
        "# How quick the page is",
        "",
        f"By `python -m benchmarks.page`: Chromium {version} without a head, on {os.cpu_count()} cores",
        f"({platform.machine()}) that also serve and train; load {os.getloadavg()[0]:.1f} at the end.",
        f"All but the first row are measured while {RUNS} networks train.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {what} | {measured} |" for what, measured in rows.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
