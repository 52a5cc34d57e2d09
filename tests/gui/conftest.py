"""A real window on a display (Xvfb in continuous integration)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from tests import review_cases as rc

CONFIG = load_config()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.gui)
            if not os.environ.get("DISPLAY"):
                item.add_marker(pytest.mark.skip(reason="no display: run under xvfb-run -a"))


@pytest.fixture
def stub_measure():
    """Measures at once: for tests that are not about numbers."""
    return lambda traced, cisternogram: rc.side_report(traced.side)


@pytest.fixture
def open_window(qtbot, stub_measure) -> Iterator[Callable]:
    """Make windows that are closed, canvases and all, at the end of the test."""
    from nvc_pipeline.viewer.app import make_window

    made = []

    def make(folder: Path, reader: str = "ada", measure=stub_measure):
        window = make_window(folder, CONFIG, reader, measure)
        window.resize(1500, 950)
        window.show()
        qtbot.waitExposed(window)
        # Keys reach only the active window, and no window manager makes it so under Xvfb.
        window.activateWindow()
        window.windowHandle().requestActivate()
        qtbot.waitUntil(window.isActiveWindow, timeout=30000)
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
        window.deleteLater()


def pixels(widget) -> np.ndarray:
    """Return what a widget shows, shape (rows, columns, 3)."""
    from PySide6.QtGui import QImage

    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8)
    return data.reshape(image.height(), image.bytesPerLine())[:, : image.width() * 3].reshape(
        image.height(), image.width(), 3
    )
