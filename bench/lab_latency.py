"""How soon the lab's page follows the hand: measured in the page, in headless Chromium.

A lab is started, its page opened, and gestures are made by events: what is timed is the handler and
the drawing that follows (work), and the gap to the next frame. Latencies are reported, not gated.
Run: python bench/lab_latency.py (needs playwright and Chromium, as chromium or in LAB_CHROMIUM)
"""

import argparse
import os
import platform
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright

import convivo
from convivo.lab.security import Keys
from convivo.lab.server import Lab, bound, create_app

OUT = Path(__file__).parent / "results" / "lab_latency.md"
MOVES = 60
CHECKED = "html[data-ready][data-checked]"
# One gesture after the other: milliseconds of handler and drawing, and from frame to frame.
TIMED = """async ({moves, gesture}) => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const make = {
    hover(i) {
      const grid = document.querySelector('.role-output .grid');
      const box = grid.getBoundingClientRect();
      const [x, y] = [(0.05 + 0.9 * (i * 37 % 61) / 61), (0.05 + 0.9 * (i * 17 % 53) / 53)];
      grid.dispatchEvent(new PointerEvent('pointermove', {
        clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true}));
    },
    scrub(i) {
      const slider = document.querySelector('#transport input[type=range]');
      slider.value = Math.floor(Number(slider.max) * (i * 37 % 61) / 61);
      slider.dispatchEvent(new Event('input'));
    },
    box(i) {
      const boxes = document.querySelectorAll('.network .box');
      boxes[i * 7 % boxes.length].dispatchEvent(new PointerEvent('pointermove', {bubbles: true}));
    },
    size(i) {
      const slider = document.querySelector('.field.size input');
      slider.value = Math.floor(Number(slider.max) * (i * 37 % 61) / 61);
      slider.dispatchEvent(new Event('input'));
    },
    weight(i) {
      const weight = document.querySelectorAll('input.weight')[i % 9];
      weight.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true}));
    },
  }[gesture];
  const work = [], gaps = [];
  let last = await frame();
  for (let i = 0; i < moves; i += 1) {
    const start = performance.now();
    make(i);
    const handled = performance.now() - start;
    const now = await frame();  // after the page's own callback of this frame
    work.push(handled + performance.now() - now);
    gaps.push(now - last);
    last = now;
  }
  return {work, gaps: gaps.slice(1)};
}"""


@contextmanager
def running(values: np.ndarray) -> Generator[tuple[str, str]]:
    """A lab with an array in it: its address with a token, and the array's id."""
    place = bound(0)
    port = place.getsockname()[1]
    keys, lab = Keys(port), Lab()
    server = uvicorn.Server(uvicorn.Config(create_app(lab, keys), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    path = lab.store.room(".npy")
    np.save(path, values)
    card = lab.take_in(path, "array.npy")
    yield f"http://127.0.0.1:{port}/?token={keys.token()}", card["id"]
    server.should_exit = True
    thread.join()


def percentile(values: list[float]) -> str:
    return f"{np.percentile(values, 50):.1f} / {np.percentile(values, 95):.1f}"


def gesture(page: Page, link: str, name: str) -> dict[str, Any]:
    """Show a link, then make a gesture many times."""
    page.evaluate(
        "link => { const d = document.documentElement.dataset; delete d.ready; delete d.checked;"
        "location.hash = ''; location.hash = link; }",
        link,
    )
    page.wait_for_selector(CHECKED, state="attached")
    page.evaluate(TIMED, {"moves": 5, "gesture": name})
    return page.evaluate(TIMED, {"moves": MOVES, "gesture": name})


def cold(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds from the address to a page with data, and kilobytes that it took."""
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page.evaluate(
        "() => [performance.getEntriesByName('ready')[0].startTime,"
        "performance.getEntriesByType('resource').reduce((s, e) => s + e.transferSize, 0) / 1000]"
    )


def measured() -> list[str]:
    """The rows of the table."""
    kernel5 = "k=5x5:" + ",".join(["0.04"] * 25)
    values = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    path = os.environ.get("LAB_CHROMIUM") or shutil.which("chromium")
    with running(values) as (address, array), sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        opened, size = cold(page, address)
        rows = [f"| cold open, kB | {opened:.0f} ms, {size:.0f} kB | | 500 ms, 400 kB |"]
        small = "#d=sample:cells&n=10&at=56,60"
        large = f"#d=id:{array}&n=256"
        volume = "#d=sample:volume&n=6,8,8&at=30,28,28"
        cases = [
            ("hover, 10 x 10", small, "hover", "8 ms"),
            ("hover, 6 x 8 x 8, 27 products", volume, "hover", "8 ms"),
            ("hover, 256 x 256", large, "hover", "8 ms"),
            ("scrub, 10 x 10", small, "scrub", "8 ms"),
            ("weight of 3 x 3, 256 x 256", large, "weight", "50 ms"),
            ("weight of 5 x 5, 256 x 256", f"{large}&{kernel5}", "weight", "50 ms"),
            ("backward: hover", "#view=backward&src=random&size=10,10&s=1", "hover", "8 ms"),
            ("backward: scrub", "#view=backward&src=random&size=10,10&s=1", "scrub", "8 ms"),
            ("U-Net: hover a box", "#view=arch&net=unet_2015", "box", "8 ms"),
            ("U-Net: size to memory", "#view=arch&net=unet_2015", "size", "50 ms"),
        ]
        for title, link, name, budget in cases:
            found = gesture(page, link, name)
            row = f"| {title} | {percentile(found['work'])} | {percentile(found['gaps'])} |"
            rows.append(f"{row} {budget} |")
        browser.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    lines = [
        "# The lab: how soon the page follows the hand",
        "",
        f"`python bench/lab_latency.py`, convivo {convivo.__version__}, headless Chromium without",
        f"a GPU, {os.cpu_count()} cores, {platform.machine()}, load "
        f"{os.getloadavg()[0]:.1f} before;",
        f"{MOVES} gestures each, median / 95th percentile in ms.",
        "",
        "| gesture | handler and drawing | frame to frame | budget |",
        "|---|---|---|---|",
        *measured(),
    ]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
