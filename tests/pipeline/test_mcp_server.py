"""`reelcast mcp`: an assistant reads the store, and can change nothing."""

import anyio
import polars as pl
import pytest

from pipeline.settings import load
from storage.store import Store

mcp = pytest.importorskip("mcp")


@pytest.fixture
def call(tmp_path, plain_set):
    from pipeline.mcp_server import make_server

    settings = load(
        environment={"REELCAST_STORE__PATH": str(tmp_path / "store"), "REELCAST_DATA__FOLDER": str(plain_set)}
    )
    store = Store(settings.store_folder())
    forecasts = pl.DataFrame({"item": ["a", "b"], "target_name": ["comment@7d"] * 2, "count": [3.0, 5.0]})
    store.table("predictions").write(forecasts, inputs_hash="i", fingerprint="f")

    def run(name: str, **arguments: object) -> object:
        async def within() -> object:
            async with mcp.Client(make_server(settings)) as client:
                if not name:
                    return (await client.list_tools()).tools
                return await client.call_tool(name, arguments)

        return anyio.run(within)

    return run


def test_five_tools_that_only_read(call):
    tools = call("")
    assert {tool.name for tool in tools} == {"results", "plan", "failures", "predict", "sql"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)


def test_rows_of_the_store(call):
    assert call("sql", query="SELECT item FROM predictions ORDER BY item").structured_content["rows"] == [["a"], ["b"]]
    assert call("predict", item="b").structured_content["result"] == [
        {"item": "b", "target_name": "comment@7d", "count": 5.0}
    ]
    assert call("failures").structured_content["failed_rows"] == 0


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM read_text('/etc/hostname')", "COPY (SELECT 1) TO 'x.csv'", "SELECT 1; SELECT 2", "SELECT no"],
)
def test_a_query_reads_one_select_of_the_store(call, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    answer = call("sql", query=query)
    assert answer.is_error
    assert not (tmp_path / "x.csv").exists()


def test_an_error_for_a_person_reaches_the_assistant(call):
    answer = call("results")
    assert answer.is_error and "no evaluation in" in answer.content[0].text
