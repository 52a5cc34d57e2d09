"""The fourth place of the grid: the 3D view with its list of structures, or the other side mirrored."""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtWidgets import QStackedWidget

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review import meshes, signed_page
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.viewer.mirror import MirrorPane
from nvc_pipeline.viewer.panes import Crosshair
from nvc_pipeline.viewer.scene import ScenePane
from nvc_pipeline.viewer.structures import StructureList


class ThirdPane(QStackedWidget):
    """3D view or mirrored other side, one at a time."""

    def __init__(self, crosshair: Crosshair) -> None:
        super().__init__()
        self.scene = ScenePane(crosshair)
        self.mirror = MirrorPane()
        self.structures = StructureList(self.scene)
        self.addWidget(self.scene)
        self.addWidget(self.mirror)

    def surgeon(self, side: Side, at: FloatArray) -> None:
        """Show the surgeon's view."""
        self.scene.surgeon(side, at)

    def front(self, at: FloatArray) -> None:
        """Show both sides from the front."""
        self.setCurrentWidget(self.scene)
        self.scene.front(at)

    def compare(self) -> None:
        """Change between the 3D view and the other side mirrored."""
        here = self.currentWidget() is self.mirror
        self.setCurrentWidget(self.scene if here else self.mirror)

    def list_structures(self) -> bool:
        """Show or hide the list of structures; return whether it is seen now."""
        self.setCurrentWidget(self.scene)
        self.structures.toggle()
        return self.structures.isVisible()

    def picture(self) -> bytes:
        """Return the 3D view as PNG, letters and all, without the list over it."""
        self.setCurrentWidget(self.scene)
        listed = self.structures.isVisible()
        self.structures.hide()
        # The file may be passed on without its report.
        self.scene.note = "RESEARCH USE ONLY"
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        self.scene.grab().save(buffer, "PNG")
        self.scene.note = ""
        self.structures.setVisible(listed)
        return bytes(data.data())

    def save_picture(self, desk: CaseDesk, side: Side) -> str:
        """Save the 3D view for the report of the signature; return what to say."""
        path = signed_page.save_picture(
            desk.result.folder, desk.reader, side, self.picture(), desk.report(side)
        )
        return f"Picture saved; the report of your signature will hold it.\n{path}"

    def save_meshes(self, desk: CaseDesk, side: Side) -> str:
        """Save what is shown as STL, one a structure, and GLB; return what to say."""
        del side
        folder = desk.result.folder / "review" / "meshes"
        paths = meshes.save_meshes(folder, self.scene.shown_surfaces())
        return f"{max(len(paths) - 1, 0)} structures saved as STL and together as GLB.\n{folder}"
