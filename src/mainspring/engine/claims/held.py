"""The claims that a node holds. Knows nothing of slots or the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.model.crash import SUSPECT_CRASHES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mainspring.model.job import Claim, Outcome


class HeldClaims:
    """Claims whose outcomes are not recorded yet."""

    def __init__(self) -> None:
        self._claims: dict[int, Claim] = {}
        self._suspects: set[int] = set()

    def __len__(self) -> int:
        return len(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(list(self._claims.values()))

    @property
    def suspects(self) -> int:
        """The number of jobs whose next crash would be their last."""
        return len(self._suspects)

    def add(self, claims: Sequence[Claim]) -> None:
        """Hold these, too."""
        self._claims.update([(claim.key, claim) for claim in claims])
        self._suspects.update([claim.key for claim in claims if claim.crashes >= SUSPECT_CRASHES])

    def of(self, outcomes: Iterable[Outcome]) -> list[Claim | None]:
        """Return the claim of each outcome; None if it is of an earlier claim, or of none."""
        get = self._claims.get
        return [
            claim if (claim := get(outcome.key)) and claim.fence == outcome.fence else None
            for outcome in outcomes
        ]

    def claim_of(self, key: int, fence: int) -> Claim | None:
        """Return the claim if it is held; from any thread."""
        claim = self._claims.get(key)
        return claim if claim is not None and claim.fence == fence else None

    def drop(self, outcomes: Iterable[Outcome]) -> list[Claim | None]:
        """Hold the claims of these outcomes no longer; return them as `of` does, each once."""
        drop = self._claims.pop
        claims = [
            drop(claim.key, None) if claim is not None else None for claim in self.of(outcomes)
        ]
        if self._suspects:
            self._suspects.difference_update([claim.key for claim in claims if claim is not None])
        return claims

    def missing_among(self, claims: Sequence[Claim]) -> tuple[list[Claim], bool]:
        """Return the claims of jobs that are not held, and whether others supersede held ones."""
        missing = [claim for claim in claims if claim.key not in self._claims]
        known = [claim for claim in claims if claim.key in self._claims]
        return missing, any(self._claims[claim.key].fence != claim.fence for claim in known)

    def has_suspect_beside(self, ending: Iterable[Outcome]) -> bool:
        """Return whether a job is left whose next crash would be its last, beside these."""
        return bool(self._suspects) and not self._suspects <= {outcome.key for outcome in ending}

    def clear(self) -> None:
        """Hold nothing."""
        self._claims.clear()
        self._suspects.clear()
