"""The jobs of a site, done in this process: of ``glioloop serve``, and of ``glioloop work``."""

from __future__ import annotations

import logging

from glioloop import corrections, delivery, jobs, model_refits, studies
from glioloop.commitments import Commitments
from glioloop.corrections import Corrections
from glioloop.delivery import Deliveries
from glioloop.judging import JOB
from glioloop.lanes import LANES
from glioloop.model_refits import Refits
from glioloop.settings import Settings
from glioloop.site import Site, open_site
from glioloop.studies import Studies
from study.errors import RefusedError

logger = logging.getLogger(__name__)


class Work:
    """What each job does. All that it knows is in the site's stores.

    Parameters
    ----------
    site
        Where.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.deliveries = Deliveries(site)
        self.studies = Studies(site, self.deliveries)
        self.corrections = Corrections(site, self.deliveries)
        self.refits = Refits(site)
        self.commitments = Commitments(site, self.deliveries)
        jobs.register(JOB, "infer", self.studies.infer)
        jobs.register(studies.ANSWER, studies.ANSWER_LANE, self.studies.answer)
        jobs.register(corrections.JOB, "adapt", self.corrections.adapt)
        jobs.register(delivery.JOB, "deliver", self.deliveries.deliver)
        jobs.register(delivery.COMMIT, "deliver", self.commitments.commit)
        jobs.register(model_refits.JOB, model_refits.LANE, self.refits.refit)

    def begin(self, lanes: tuple[str, ...] = tuple(LANES)) -> None:
        """Begin to do the jobs of some lanes; `glioloop.jobs.run` says what may be the matter."""
        settings = self._site.settings
        running = settings.data / "running" / settings.node_name
        jobs.run(settings.database, settings.node_name, lanes, running)

    def resume(self) -> None:
        """Queue what a crash left without a job."""
        self.corrections.resume()
        self.refits.resume()
        self.deliveries.resume()


def start(settings: Settings, lanes: tuple[str, ...]) -> Site:
    """Do the jobs of some lanes, beside a service that runs here or elsewhere.

    Parameters
    ----------
    settings
        The service's own, but for the name of the node.
    lanes
        Which ones.

    Raises
    ------
    RefusedError
        If no service ever ran there, or the node has no name of its own.
    """
    if settings.node is None:
        raise RefusedError("a node needs a name that no other process has: --node NAME")
    site = open_site(settings, create=settings.shared)
    Work(site).begin(lanes)
    logger.info("node %s works: %s", settings.node, ", ".join(lanes) or "no lane")
    return site
