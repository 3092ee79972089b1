"""A service with real listener, ledger, jobs and archive; only the network is a stand-in."""

from __future__ import annotations

from opened_world import empty_jobs, world

__all__ = ["empty_jobs", "world"]
