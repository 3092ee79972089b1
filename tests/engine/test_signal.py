"""Tests of `engine.signal`: what each sequence makes of each substance."""

import pytest
import torch

from engine import signal
from engine.anatomy import Substance


def _of(substance: Substance) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    t1, t2, density = signal.relaxation()[substance]
    return torch.tensor(t1), torch.tensor(t2), torch.tensor(density)


def test_spin_echo_of_known_times_is_the_textbook_value():
    # 0.8 (1 - e^-0.5) e^-0.1 = 0.8 * 0.393469 * 0.904837
    value = signal.spin_echo(
        torch.tensor(1000.0), torch.tensor(100.0), torch.tensor(0.8), 500.0, 10.0
    )
    assert float(value) == pytest.approx(0.284820, abs=1e-5)


def test_pure_fluid_is_dark_on_flair_and_bright_on_t2():
    fluid, white = _of(Substance.CSF), _of(Substance.WHITE)
    ti = signal.nulling_time(float(fluid[0]), 9000.0)
    flair = [float(signal.inversion_recovery(*s, 9000.0, 120.0, ti)) for s in (fluid, white)]
    t2 = [float(signal.spin_echo(*s, 4500.0, 100.0)) for s in (fluid, white)]
    assert flair[0] < 0.02 * flair[1]
    assert t2[0] > 2.0 * t2[1]


def test_edema_is_brighter_than_white_matter_on_flair():
    ti = signal.nulling_time(4000.0, 9000.0)
    edema, white = (
        float(signal.inversion_recovery(*_of(s), 9000.0, 120.0, ti))
        for s in (Substance.EDEMA, Substance.WHITE)
    )
    assert edema > 1.3 * white


def test_gadolinium_brightens_t1_weighted_signal():
    t1, t2, density = _of(Substance.ENHANCING)
    enhanced = signal.with_gadolinium(t1, torch.tensor(0.3))
    # 1 / (1/1350 + 0.0045 * 0.3) = 478.3 ms
    assert float(enhanced) == pytest.approx(478.3, abs=0.1)
    before = signal.spin_echo(t1, t2, density, 550.0, 12.0)
    after = signal.spin_echo(enhanced, t2, density, 550.0, 12.0)
    assert float(after) > 1.5 * float(before)


def test_without_gadolinium_t1_stays():
    assert float(signal.with_gadolinium(torch.tensor(850.0), torch.tensor(0.0))) == pytest.approx(
        850.0
    )


def test_nulling_time_gives_no_signal():
    ti = signal.nulling_time(4000.0, 9000.0)
    one = torch.tensor(1.0)
    value = signal.inversion_recovery(torch.tensor(4000.0), torch.tensor(1e9), one, 9000.0, 0.0, ti)
    assert float(value) == pytest.approx(0.0, abs=1e-6)


def test_spoiled_gradient_echo_is_greatest_at_the_ernst_angle():
    t1, t2, density = torch.tensor(1000.0), torch.tensor(50.0), torch.tensor(1.0)
    # acos(e^(-20/1000)) = 11.4 degrees
    below, ernst, above = (
        float(signal.spoiled_gradient_echo(t1, t2, density, 20.0, 3.0, a))
        for a in (8.0, 11.4, 16.0)
    )
    assert ernst > below
    assert ernst > above


def test_tissue_relaxes_faster_at_lower_field_and_fluid_does_not():
    low = signal.at_field(signal.relaxation(), 1.5)
    assert 550.0 < low[Substance.WHITE, 0] < 700.0
    assert low[Substance.CSF, 0] == 4000.0
