"""Alembic beside our tables, by the recipe of the docs: it proposes to drop nothing of ours."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from mainspring import Queue

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "own-database.md"

ENV = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, pool

metadata = MetaData()
Table("jobs", metadata, Column("id", Integer, primary_key=True), Column("title", Text))

{recipe}

options = dict(target_metadata=metadata, {options})
with create_engine("{url}", poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
"""

BY_RECIPE = "include_name=include_name"
# The server is shared: other tests make and drop schemas while Alembic looks.
ONE_SCHEMA = "include_schemas=True, include_name=lambda name, kind, parents: ({}) and {}"


def recipe():
    (found,) = re.findall(r"```python\n(def include_name.*?)```", PAGE.read_text(), re.DOTALL)
    return found


@pytest.fixture
def alembic(tmp_path, monkeypatch):
    """Make a project of Alembic's; returns its settings, for the commands."""
    monkeypatch.chdir(tmp_path)

    def make(url, options):
        command.init(Config("alembic.ini"), "alembic")
        text = ENV.format(recipe=recipe(), url=url, options=options)
        (tmp_path / "alembic" / "env.py").write_text(text)
        return Config("alembic.ini")

    return make


def proposed(config):
    """Return what autogenerate writes for the upgrade."""
    script = command.revision(config, autogenerate=True)
    text = Path(script.path).read_text()
    upgrade = text.partition("def upgrade")[2].partition("def downgrade")[0]
    assert "op.create_table('jobs'" in upgrade  # the user's
    return upgrade


@pytest.mark.parametrize(("options", "dropped"), [(BY_RECIPE, False), ("", True)])
def test_by_the_recipe_nothing_of_ours_in_a_sqlite_file_is_dropped(alembic, options, dropped):
    with closing(Queue(db_path="shop.db")) as queue:
        queue.migrate()
    upgrade = proposed(alembic("sqlite:///shop.db", options))
    assert ("op.drop_" in upgrade) is dropped
    assert ("mainspring" in upgrade) is dropped


def test_alembics_upgrade_and_the_queue_go_on_in_one_file(alembic):
    with closing(Queue(db_path="shop.db")) as queue:
        queue.migrate()
        config = alembic("sqlite:///shop.db", BY_RECIPE)
        proposed(config)
        command.upgrade(config, "head")
        command.check(config)
        assert queue.enqueue("nobody.knows").status == "pending"


@pytest.mark.filterwarnings("ignore:Can't validate argument")  # Alembic's own
@pytest.mark.parametrize(("included", "dropped"), [("include_name(name, 0, 0)", 0), ("True", 1)])
def test_by_the_recipe_nothing_of_ours_in_postgresql_is_dropped(
    alembic, postgres_database, included, dropped
):
    schema = f"mainspring_{token_hex(4)}"
    joined = "&" if "?" in postgres_database else "?"
    with closing(Queue(f"{postgres_database}{joined}schema={schema}")) as queue:
        queue.migrate()
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://")
    options = ONE_SCHEMA.format(f"kind != 'schema' or name in (None, '{schema}')", included)
    try:
        upgrade = proposed(alembic(url, options))
    finally:
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
    assert ("op.drop_" in upgrade) == dropped
