"""The MCP server: the three public endpoints as tools, asked by the protocol's own client."""

import ast
import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.server.guard import API
from mindrec.bench.app_process import running_app

mcp = pytest.importorskip("mcp", reason='the MCP server is optional: pip install "gradio[mcp]==6.31.0"')


@pytest.fixture(scope="module")
def server(checkpoint):
    with running_app("--checkpoint", str(checkpoint), "--mcp") as (address, _):
        yield address


def asked(server, ask):
    """What `ask`, given an open session, finds."""
    from mcp.client.streamable_http import streamablehttp_client

    async def run():
        address = f"{server}{API}/mcp/"
        async with streamablehttp_client(address) as (read, write, _), mcp.ClientSession(read, write) as session:
            await session.initialize()
            return await ask(session)

    # A thread of its own: the browser tests before this leave an event loop running in the main one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(asyncio.wait_for(run(), 60))).result()


def test_the_public_endpoints_are_the_tools(server):
    tools = asked(server, lambda session: session.list_tools()).tools
    assert sorted(tool.name.removeprefix("mindrec_") for tool in tools) == [
        "explain",
        "fill_gap",
        "odd_one_out",
        "recommend",
        "rewrite",
        "search",
        "slate",
        "trace",
    ]
    assert all(tool.description for tool in tools)


def test_a_tool_answers_as_the_model_does(server, recommender):
    names = {tool.name.removeprefix("mindrec_"): tool.name for tool in asked(server, lambda s: s.list_tools()).tools}
    answer = asked(server, lambda s: s.call_tool(names["recommend"], {"item_ids": ["i0", "i1"]}))
    assert not answer.isError
    found = ast.literal_eval(answer.content[0].text)  # Gradio writes Python's form, not JSON
    alone = recommender.recommend(["i0", "i1"]).items
    assert [one["item_id"] for one in found] == [one.item.item_id for one in alone]
    wrong = asked(server, lambda s: s.call_tool(names["recommend"], {"item_ids": ["nothing"]}))
    assert wrong.isError
    assert "nothing" in wrong.content[0].text
