"""DICOM out, and corrections in. The only room with highdicom."""
