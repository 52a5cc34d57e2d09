"""The list of structures over the 3D pane: each shown, faded or hidden by a click or the space bar."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.viewer.scene import ScenePane, Shown

_NEXT: dict[Shown, Shown] = {"shown": "faded", "faded": "hidden", "hidden": "shown"}
_WIDTH = 250


class StructureList(QTreeWidget):
    """Every structure of the scene by its name and colour, grouped by side, and how it is shown."""

    def __init__(self, scene: ScenePane, parent: QWidget | None = None) -> None:
        super().__init__(parent if parent is not None else scene)
        self._scene = scene
        self.setColumnCount(2)
        self.setHeaderLabels(["Structure", "shown"])
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.header().setStretchLastSection(False)
        self.setToolTip("Click, or the space bar: shown, faded, hidden")
        self.setRootIsDecorated(False)
        self.setIndentation(12)
        self.itemClicked.connect(lambda item, _: self._turn(item))
        scene.shown_changed.connect(self.refresh)
        self.hide()

    def toggle(self) -> None:
        """Show or hide the list."""
        self.setVisible(not self.isVisible())
        if self.isVisible():
            self.refresh()
            self.place()
            self.setFocus()

    def place(self) -> None:
        """Lie over the right part of the pane, below its title."""
        area = self._scene.rect()
        self.setGeometry(area.width() - _WIDTH - 6, 30, _WIDTH, max(80, area.height() - 64))
        self.raise_()

    def refresh(self) -> None:
        """List what is in the scene now."""
        if not self.isVisible():
            return
        chosen = self.currentItem().data(0, Qt.ItemDataRole.UserRole) if self.currentItem() else None
        self.clear()
        for side in (None, Side.RIGHT, Side.LEFT):
            bodies = [b for b in self._scene.bodies if b.side is side]
            if not bodies:
                continue
            title = "Middle" if side is None else f"{side.value.capitalize()} side"
            group = self._item(None, title, [b.name for b in bodies], "")
            for body in bodies:
                short = body.name.replace(f" {side.value}", "") if side else body.name
                self._item(group, short, [body.name], body.colour)
        self.expandAll()
        if chosen is not None:
            self._choose(chosen)

    def _item(
        self, group: QTreeWidgetItem | None, title: str, names: list[str], colour: str
    ) -> QTreeWidgetItem:
        states = {self._scene.shown(name) for name in names}
        item = QTreeWidgetItem([title, states.pop() if len(states) == 1 else "mixed"])
        item.setData(0, Qt.ItemDataRole.UserRole, names)
        if colour:
            swatch = QPixmap(11, 11)
            swatch.fill(QColor(colour))
            item.setIcon(0, QIcon(swatch))
        if group is None:
            self.addTopLevelItem(item)
        else:
            group.addChild(item)
        return item

    def _choose(self, names: list[str]) -> None:
        for item in self.findItems("", Qt.MatchFlag.MatchContains | Qt.MatchFlag.MatchRecursive):
            if item.data(0, Qt.ItemDataRole.UserRole) == names:
                self.setCurrentItem(item)

    def _turn(self, item: QTreeWidgetItem) -> None:
        names = item.data(0, Qt.ItemDataRole.UserRole)
        self._scene.set_shown(names, _NEXT[self._scene.shown(names[0])])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let the space bar do what a click does."""
        if event.key() == Qt.Key.Key_Space and self.currentItem() is not None:
            self._turn(self.currentItem())
            return
        super().keyPressEvent(event)
