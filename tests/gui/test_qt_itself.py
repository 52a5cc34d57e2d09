"""Qt's Python binding counts references rightly: one that doesn't ends the program after some minutes."""

from __future__ import annotations

import sys

from PySide6.QtCore import QAbstractTableModel, QIdentityProxyModel, QObject, Qt, Signal


class _Empty(QAbstractTableModel):
    def rowCount(self, parent=None):
        return 1

    def columnCount(self, parent=None):
        return 1

    def data(self, index, role=0):
        return None


class _Bell(QObject):
    rung = Signal(object)


def test_none_and_true_are_not_used_up(qapp):
    proxy, bell = QIdentityProxyModel(), _Bell()
    model = _Empty()
    proxy.setSourceModel(model)
    before = sys.getrefcount(None), sys.getrefcount(True)
    for _ in range(200):
        proxy.data(proxy.index(0, 0), Qt.ItemDataRole.DisplayRole)
        bell.rung.emit(None)
    after = sys.getrefcount(None), sys.getrefcount(True)
    assert all(a > b - 100 for a, b in zip(after, before, strict=True))
