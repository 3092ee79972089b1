"""Loaded by Orthanc's Python plugin: option ``PythonScript`` of the configuration."""

import routing

import orthanc

routing.register(orthanc)
