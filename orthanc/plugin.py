"""Loaded by Orthanc's Python plugin: option ``PythonScript`` of the configuration."""

import routing
import viewer

import orthanc

routing.register(orthanc)
viewer.register(orthanc)
