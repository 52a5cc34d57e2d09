"""Neurovascular contact at the facial nerve: from a DICOM study to millimetres, both sides.

Research software, not a medical device. Importing the package pulls in none of torch,
napari, Qt or vtk; each room imports what it needs.
"""

__version__ = "0.1.0"

RESEARCH_USE_ONLY = (
    "RESEARCH USE ONLY - NOT A MEDICAL DEVICE - not for diagnosis, triage or surgical planning."
)
