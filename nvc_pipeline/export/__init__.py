"""DICOM SEG and SR, meshes."""
