"""A real browser that a test drives: it loads a page, clicks, types, resizes, and looks.

Chromium speaks its DevTools protocol over two pipes (``--remote-debugging-pipe``), JSON messages
that end in a zero byte, so nothing listens anywhere.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-component-update"),
    *("--disable-background-networking", "--remote-debugging-pipe"),
)
_KEYS = {  # key: code, number, text
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
    "Enter": ("Enter", 13, "\r"),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
}


def chromium() -> str | None:
    """Path of the browser; ``None`` if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One tab of a browser; see `browser`."""

    def __init__(self, send: int, receive: int):
        self._send, self._receive = send, os.fdopen(receive, "rb")
        self._count, self._rest, self._session = 0, b"", None
        self.errors: list[str] = []  # what the console complained about
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **parameters) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = self._receive.read1(1 << 20)
            assert more, "the browser ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])

    def look(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Size of the window in px, and the theme."""
        size = {"width": width, "height": height}
        metrics = {**size, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, page: Path, at: str = "") -> None:
        """Load a page from its file; ``at`` is what stands behind the # of its address."""
        self._call("Page.navigate", url=f"{page.absolute().as_uri()}{'#' if at else ''}{at}")
        self.wait("document.readyState == 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 60.0) -> None:
        """Until an expression in the page is true."""
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, f"not true within {seconds} s: {expression}"
            time.sleep(0.02)

    def click(self, element: str) -> None:
        """With the mouse, in the middle of what an expression in the page gives."""
        self.ask(f"{element}.scrollIntoView({{block: 'center', inline: 'center'}})")
        box = self.ask(f"{element}.getBoundingClientRect().toJSON()")
        self.click_at(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def click_at(self, x: float, y: float) -> None:
        """With the mouse, at a place of the window in px."""
        self.drag((x, y), (x, y))

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """The mouse with its left button down, from a place of the window in px to another."""
        self._mouse("mouseMoved", start)
        self._mouse("mousePressed", start, button="left", clickCount=1)
        if stop != start:
            self._mouse("mouseMoved", stop, button="left", buttons=1)
        self._mouse("mouseReleased", stop, button="left", clickCount=1)

    def _mouse(self, kind: str, at: tuple[float, float], **what) -> None:
        self._call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **what)

    def press(self, key: str) -> None:
        """A key of the keyboard."""
        code, number, text = _KEYS[key]
        parameters = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        down = {**parameters, "text": text} if text else parameters
        self._call("Input.dispatchKeyEvent", type="keyDown", **down)
        self._call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self._call("Input.insertText", text=text)

    def photograph(self, path: Path) -> None:
        """The window as a PNG."""
        data = self._call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile in ``folder``; it ends with the block."""
    program = chromium()
    assert program is not None
    ours = [os.pipe(), os.pipe()]  # to the browser, from it
    (its_in, send), (receive, its_out) = ours
    for end in (its_in, its_out):
        os.set_inheritable(end, True)
    # it reads from file descriptor 3 and writes to 4
    moved = f'exec 3<&{its_in} 4>&{its_out}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", moved, "bash", program, *_FLAGS, f"--user-data-dir={folder}"],
        pass_fds=(its_in, its_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        yield Browser(send, receive)
    finally:
        process.terminate()
        process.wait()
        os.close(send)
