"""Rigid registration as SimpleITK's own examples do it: what ours is measured beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from study.volume import Volume

sitk: Any = SimpleITK  # it ships no types


def stock_rigid(moving: Volume, fixed: Volume) -> npt.NDArray[np.float64]:
    """Mattes mutual information, gradient descent, three levels, from the images' middles.

    As in SimpleITK's notebook 60 "Registration Introduction", settings and all.

    Parameters
    ----------
    moving, fixed
        Volumes of any geometry.

    Returns
    -------
    numpy.ndarray
        ``(4, 4)`` float64: LPS point of the fixed image to LPS point of the moving one, mm.
    """
    there, here = _image(moving), _image(fixed)
    start = sitk.CenteredTransformInitializer(
        here,
        there,
        sitk.Euler3DTransform(),
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(
        learningRate=1.0,
        numberOfIterations=100,
        convergenceMinimumValue=1e-6,
        convergenceWindowSize=10,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(shrinkFactors=[4, 2, 1])
    method.SetSmoothingSigmasPerLevel(smoothingSigmas=[2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(here, there)
    matrix = np.eye(4)
    origin = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, 3] = origin
    for axis in range(3):
        matrix[:3, axis] = np.array(found.TransformPoint(np.eye(3)[axis].tolist())) - origin
    return matrix


def _image(volume: Volume) -> Any:
    """A SimpleITK image that knows its world."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array, np.float32))
    axes = volume.geometry.affine[:3, 2::-1]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetOrigin(volume.geometry.affine[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    return image
