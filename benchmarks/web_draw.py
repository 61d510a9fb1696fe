"""How soon the answer follows the pen: from a move of the pointer to ten probabilities on the page.

    python benchmarks/web_draw.py [--strokes 12] [--out benchmarks/results/web-draw.md]

Starts `digitlab serve`, trains the exercise's three networks on it, opens Draw in Chromium, and draws strokes
with a thick and a thin pen (a thin one is widened, which takes longest). Of each move two times are taken:
from the event's own time stamp until all networks' probabilities are in the page, waiting included; and the
work alone, from the event's arrival. The parts (preparation, forward pass) are timed apart. Development only.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

NETWORKS: list[dict[str, Any]] = [
    {"hidden": hidden, "learning_rate": 0.25, "epochs": 2, "validation_size": 10_000}
    for hidden in ([], [100], [100, 100])
]
WATCH = """() => {
  const found = (window.found = []);
  let stamp = 0, began = 0;
  document.querySelector(".pad").addEventListener("pointermove", (event) => {
    stamp = event.timeStamp;
    began = performance.now();
  }, { capture: true });
  new MutationObserver(() => {
    if (!began) return;
    const now = performance.now();
    found.push([now - stamp, now - began]);
    began = 0;
  }).observe(document.querySelector(".side"), {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
}"""
PARTS = """async ([key, times]) => {
  const { inkCanvas, paint, readInk } = await import("/static/draw/drawing.js");
  const { prepared } = await import("/static/lib/prepare.js");
  const { forward, readNetwork } = await import("/static/lib/network.js");
  const network = readNetwork(await (await fetch(`/api/runs/${key}/weights`)).arrayBuffer());
  const points = Array.from({ length: 40 }, (_, i) => ({ x: 60 + 4 * i, y: 140 + 90 * Math.sin(i / 5) }));
  const parts = { reading: [], preparing: [], forward: [] };
  for (const pen of [22, 8]) {
    const ink = inkCanvas();
    paint(ink, { base: null, strokes: [{ pen, points }] }, "#fff");
    parts[`preparing, pen ${pen}`] = [];
    for (let i = 0; i < times; i++) {
      const a = performance.now();
      const values = readInk(ink);
      const b = performance.now();
      const { image } = prepared(values);
      const c = performance.now();
      for (let j = 0; j < 10; j++) forward(network, image);
      const d = performance.now();
      parts.reading.push(b - a);
      parts[`preparing, pen ${pen}`].push(c - b);
      parts.forward.push((d - c) / 10);
      await new Promise((done) => setTimeout(done));
    }
  }
  delete parts.preparing;
  return parts;
}"""


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "digitlab",
            "serve",
            "--no-open",
            "--port",
            "0",
            "--store",
            f"{folder}/runs.db",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                text = measured(entry_of(server), options.strokes)
            finally:
                server.terminate()
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def entry_of(server: "subprocess.Popen[str]") -> tuple[str, str]:
    """The server's address and its token, from what it prints."""
    for line in server.stdout or ():
        if found := re.search(r"(http://\S+?)/\?token=([\w-]+)", line):
            return found[1], found[2]
    raise RuntimeError("digitlab serve ended before it printed its address")


def trained(url: str, token: str) -> list[str]:
    """Keys of the networks, once all have ended."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"{url}/api/{path}", body, headers)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    keys = [
        run["key"] for run in ask("train", json.dumps({"runs": NETWORKS, "title": None}).encode())["runs"]
    ]
    while any(run["status"] in {"waiting", "training"} for run in ask("live")["runs"]):
        time.sleep(0.3)
    return keys


def measured(entry: tuple[str, str], strokes: int) -> str:
    """The table, as Markdown."""
    url, token = entry
    keys = trained(url, token)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/?token={token}")
        page.goto(f"{url}/draw?key={','.join(keys)}")
        page.locator(".bars").nth(2).wait_for()
        page.evaluate(WATCH)
        rows = {}
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        processor_ms = []
        for name, pen in (("pen of 22 units", 22), ("pen of 8 units, widened", 8)):
            before = seconds_of(cdp)
            rows[name] = drawn(page, pen, strokes)
            processor_ms.append(1000 * (seconds_of(cdp) - before) / len(rows[name]))
        parts = page.evaluate(PARTS, [keys[-1], 100])
        version = chromium.version
        chromium.close()
    return table(rows, parts, processor_ms, version)


def seconds_of(cdp: CDPSession) -> float:
    """Processor time that the page's main thread has taken."""
    metrics = {each["name"]: each["value"] for each in cdp.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def drawn(page: Page, pen: int, strokes: int) -> list[list[float]]:
    """Milliseconds of each move, [move][with waiting, work alone]."""
    page.get_by_label("pen", exact=True).evaluate(
        "(node, pen) => { node.value = pen; node.dispatchEvent(new Event('input', { bubbles: true })); }", pen
    )
    page.evaluate("found.length = 0")
    box = page.locator(".pad").bounding_box()
    if box is None:
        raise RuntimeError("the canvas is not shown")
    for stroke in range(strokes):
        if stroke % 3 == 0 and stroke:
            page.get_by_role("button", name="Clear").click()
        page.mouse.move(box["x"] + 60, box["y"] + 50 + 60 * (stroke % 3))
        page.mouse.down()
        for i in range(40):
            page.mouse.move(box["x"] + 60 + 4 * i, box["y"] + 60 + 50 * (stroke % 3) + (i % 9) * 6)
        page.mouse.up()
    return page.evaluate("found")  # type: ignore[no-any-return]


def table(
    rows: dict[str, list[list[float]]], parts: dict[str, list[float]], processor_ms: list[float], version: str
) -> str:
    """What was measured, as Markdown."""
    lines = [
        "# How soon the answer follows the pen",
        "",
        f"`benchmarks/web_draw.py`, {time.strftime('%Y-%m-%d')}; {processor()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; Chromium {version} without a screen; three networks at once: 784-10, "
        "784-100-10, 784-100-100-10.",
        "",
        "| from a move of the pointer to all probabilities, ms | n | median | p95 | most |",
        "|---|---|---|---|---|",
    ]
    for name, found in rows.items():
        for place, what in ((0, "from the event's time stamp"), (1, "work alone")):
            lines.append(f"| {name}: {what} | {summary([each[place] for each in found])} |")
    shares = " and ".join(f"{each:.1f}" for each in processor_ms)
    lines += ["", f"Processor time of the page's main thread for each move, painting included: {shares} ms."]
    lines += ["", "| part, ms | n | median | p95 | most |", "|---|---|---|---|---|"]
    names = {"reading": "reading the canvas, 280 x 280", "forward": "forward pass of 784-100-100-10"}
    lines += [f"| {names.get(name, name)} | {summary(times)} |" for name, times in parts.items()]
    return "\n".join([*lines, ""])


def summary(times: list[float]) -> str:
    """Count, median, 95th percentile and the largest."""
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return f"{len(times)} | {statistics.median(times):.2f} | {p95:.2f} | {max(times):.2f}"


def processor() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.machine()


if __name__ == "__main__":
    main()
