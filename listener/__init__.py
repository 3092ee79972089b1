"""DICOM in: receive, keep, and know when a study is complete. The only room with pynetdicom."""
