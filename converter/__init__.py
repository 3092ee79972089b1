"""DICOM to the network's doorstep: series, volumes, alignment, grids, and back."""
