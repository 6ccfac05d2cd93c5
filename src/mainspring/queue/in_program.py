"""The part of the front door that learns late: its options, its application, its tasks' modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.queue.configuring import configure
from mainspring.queue.exclusion import Exclusion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from mainspring.queue.consumers import Consumers
    from mainspring.queue.options import ConfigureOptions


class InProgram(Exclusion):
    """Operations of a queue, its middleware and locks, and its place in a program."""

    _consumers: Consumers

    def configure(self, url: str | None = None, **options: Unpack[ConfigureOptions]) -> None:
        """Change options that the queue was made with, for a program that learns them later.

        Before its first use: the first job, reading of jobs, or worker. For `url` and what else
        there is, see `Queue`; those of its codec can't be changed, as tasks bear it from the start.
        Raises InvalidOption, also when it comes too late, and UnknownOption.
        """
        configure(self._binding, self._consumers, {"url": url, **options})

    def init_app(
        self, app: Any, url: str | None = None, **options: Unpack[ConfigureOptions]
    ) -> None:
        """Configure the queue by an application, and put it there: for app factories.

        Of Flask: `app.config["MAINSPRING_URL"]`, and each other option of `configure` in capital
        letters after `MAINSPRING_`; the queue stands in `app.extensions["mainspring"]`, and bodies
        run in the application's context, but in child processes. Of Starlette and FastAPI: it
        stands in `app.state.mainspring`. `url` and `options` go before the configuration. Further
        applications may follow, after the first use with the same options. Raises InvalidOption,
        UnknownOption.
        """
        from mainspring.queue.in_app import init_app  # noqa: PLC0415  # a lazy door

        init_app(self, self._binding, self._consumers, app, {"url": url, **options})

    def autodiscover(self, packages: Iterable[str], name: str = "tasks") -> list[str]:
        """Import the module `name` of each package that has one; return those that were imported.

        `packages` are names, as of Django's applications. What such a module raises is raised here,
        with a note that names it. Raises InvalidOption for a package that is not there.
        """
        from mainspring.queue.autodiscovery import autodiscover  # noqa: PLC0415  # a lazy door

        return autodiscover(packages, name)
