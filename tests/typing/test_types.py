"""What users see of our types, asked of mypy itself."""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is among the tools of `make check`")

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".mypy_cache"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "view", ["user_view.py", "background_view.py", "pool_view.py", "compat_view.py"]
)
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_a_users_type_checker_sees_what_the_docs_promise(python, view):
    said, errors, code = api.run(
        [
            "--strict",
            "--enable-error-code=ignore-without-code",
            f"--python-version={python}",
            f"--cache-dir={CACHE}",
            "--config-file=",
            str(HERE / view),
        ]
    )
    assert code == 0, said + errors
