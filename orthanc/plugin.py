"""Loaded by Orthanc's Python plugin: option ``PythonScript`` of the configuration."""

import desk
import routing
import service
import viewer

import orthanc

glioloop = service.read_service(orthanc)
router = routing.register(orthanc, glioloop)
# Orthanc keeps one extension of its pages for a plugin: the last that it is given.
orthanc.ExtendOrthancExplorer(viewer.register(orthanc) + desk.register(orthanc, router, glioloop))
