"""DICOM to compressed NIfTI, in time and memory."""
