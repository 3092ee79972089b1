"""OHIF as a radiologist uses it: what is clicked, dragged and read off the screen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from browser.overlay import Picture, Rectangle
from study.errors import FailedError
from study.volume import Geometry

if TYPE_CHECKING:
    from playwright.sync_api import Page

PREPARED = Path(__file__).parents[2] / ".browser" / "ohif"
"""Where ``make test-browser`` prepares OHIF."""

PATIENCE_MS = 90_000
"""Longest wait: a loaded machine draws without a graphics card."""

CURRENT = (
    """() => window.cornerstone?.getEnabledElements()[0]?.viewport.getCurrentImageId?.() ?? ''"""
)
"""Address of the image that is shown; empty before there is one."""

CHOSEN = """() => {
  const { segmentation } = cornerstoneTools;
  const [loaded] = segmentation.state.getSegmentations();
  return segmentation.segmentIndex.getActiveSegmentIndex(loaded.segmentationId);
}"""
"""Number of the segment that is drawn with."""

ON_SCREEN = """(points) => {
  const { viewport } = cornerstone.getEnabledElements()[0];
  const box = viewport.element.getBoundingClientRect();
  return points.map((point) => {
    const [x, y] = viewport.worldToCanvas(point);
    return [x + box.left, y + box.top];
  });
}"""
"""Across and down in the window, where positions (LPS, mm) are shown."""

SETTLED_MS = 700
"""A pause after a click, in which OHIF fades and draws."""


@dataclass
class Viewer:
    """A window in which a study is open, in OHIF's mode for segmentations."""

    page: Page
    url: str
    """Orthanc's address."""
    asked: list[str] = field(default_factory=list)
    """Every address that the page asked for."""

    def open(self, study_uid: str) -> None:
        """Open a study, and wait for an image."""
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("request", lambda request: self.asked.append(request.url))
        asked = f"StudyInstanceUIDs={study_uid}&hangingProtocolId=default"  # one image, not four
        self.page.goto(f"{self.url}/ohif/segmentation?{asked}")
        self.page.wait_for_function(f"({CURRENT})() !== ''")
        self.page.get_by_role("button", name="Confirm and hide").click()

    def load(self, series_number: int) -> None:
        """Open a Segmentation over its images, ready to be edited."""
        self.page.dblclick(f'[data-series="{series_number}"]')
        self.page.click("[data-cy=yes-hydrate-btn]")
        self.page.wait_for_selector("[data-cy=data-row]")
        self.page.wait_for_timeout(SETTLED_MS)

    def go_to(self, order: Sequence[str], wanted: str) -> None:
        """Turn the wheel until an image is shown.

        Parameters
        ----------
        order
            (0008,0018) *SOP Instance UID* of the series' images, along it.
        wanted
            One of them.
        """
        self._point_at_image()
        sense = 1
        for _ in range(3 * len(order)):
            now = self.current(order)
            if now == wanted:
                self.page.wait_for_timeout(SETTLED_MS)
                return
            before = abs(order.index(now) - order.index(wanted))
            self.page.mouse.wheel(0, 100 * sense)
            self.page.wait_for_timeout(150)
            if abs(order.index(self.current(order)) - order.index(wanted)) > before:
                sense = -sense
        raise FailedError(f"image {wanted} was never shown")

    def current(self, order: Sequence[str]) -> str:
        """Which of some images is shown."""
        address = self.page.evaluate(CURRENT)
        return next(uid for uid in order if f"/{uid}/" in address)

    def rectangle(self, grid: Geometry, number: int) -> Rectangle:
        """Where slice ``number`` of a grid is shown, in pixels of the window."""
        rows, columns = grid.shape[1:]
        ends = [(number, -0.5, -0.5), (number, -0.5, columns - 0.5), (number, rows - 0.5, -0.5)]
        origin, right, below = self.page.evaluate(ON_SCREEN, grid.world(ends).tolist())
        # A slice that were shown turned or mirrored would have other ends.
        assert origin[0] < right[0]
        assert origin[1] < below[1]
        assert np.isclose(origin[1], right[1], atol=0.5)
        assert np.isclose(origin[0], below[0], atol=0.5)
        return Rectangle(origin[0], origin[1], right[0], below[1])

    def picture(self) -> Picture:
        """The window, once it stands still."""
        now = np.asarray(self._screenshot(), np.float64)
        for _ in range(20):
            before, now = now, np.asarray(self._screenshot(), np.float64)
            if np.array_equal(before, now):
                break
        return now

    def keep(self, path: Path) -> None:
        """Write the window as a picture that is small enough for a document."""
        image = self._screenshot()
        small = image.resize((1024, round(1024 * image.height / image.width)))
        few = small.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)

    def _screenshot(self) -> Image.Image:
        """The window as it is."""
        return Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")

    def with_and_without(self) -> tuple[Picture, Picture]:
        """The window with the outlines, and with these hidden."""
        eye = self.page.locator("[data-cy^=all-segments-visibility-toggle]").first
        tinted = self.picture()
        eye.click()
        self.page.wait_for_timeout(SETTLED_MS)
        plain = self.picture()
        eye.click()
        self.page.wait_for_timeout(SETTLED_MS)
        return tinted, plain

    def take_brush(self, segment: str, radius_mm: int) -> None:
        """Take the brush, and choose a segment, to whose middle OHIF jumps."""
        self.page.click("[data-cy=Brush-btn]")
        self.page.locator("input[type=number]").fill(str(radius_mm))
        row = self.page.locator("[data-cy=data-row]").filter(has_text=segment)
        number = int(row.inner_text().split()[0])
        for _ in range(5):  # until it has loaded, OHIF chooses the first one again
            row.click()
            self.page.wait_for_timeout(2 * SETTLED_MS)
            if self.page.evaluate(CHOSEN) == number:
                return
        raise FailedError(f"OHIF did not choose segment {segment}")

    def drag(self, path: Sequence[tuple[float, float]]) -> None:
        """Draw along points of the window."""
        self.page.mouse.move(*path[0])
        self.page.mouse.down()
        for point in path[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()
        self.page.wait_for_timeout(SETTLED_MS)

    def store(self) -> None:
        """Export the segmentation to the archive, into the series that it came from."""
        self.page.click("[data-cy^=segmentation-collapsed-more-btn]")
        self.page.locator("[role=menuitem]", has_text="Export").hover()
        self.page.locator("[role=menuitem]", has_text="DICOM SEG").click()
        with self.page.expect_response(lambda r: r.request.method == "POST") as stored:
            self.page.locator("[role=dialog] button", has_text="Save").click()
        if not stored.value.ok:
            raise FailedError(f"Orthanc did not take it: {stored.value.status}")

    def _point_at_image(self) -> None:
        """Put the mouse over the middle of the image."""
        box = self.page.locator("[data-cy=viewport-pane]").first.bounding_box()
        if box is None:
            raise FailedError("OHIF shows no image")
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
