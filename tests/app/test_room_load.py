"""Two hundred phones in one class room, against a real server process: no vote is lost or counted twice."""

import asyncio
import json
import random
import time
from collections import Counter

import httpx
import pytest
from requests_to_app import ask

from app.server.guard import API
from mindrec.bench.app_process import running_app

PHONES, QUESTIONS = 200, 3


class Phone:
    """Does what the phone's page does: joins, looks every few seconds, votes, sometimes changes its vote."""

    def __init__(self, client: httpx.AsyncClient, base: str, number: int):
        self.client, self.base, self.chance = client, base, random.Random(number)
        self.votes: dict[int, int] = {}
        self.took: list[float] = []
        self.refused = self.lost = 0

    async def ask(self, path: str, body: dict | None = None) -> dict:
        """One request; asked again, as the page does, where the rate refuses it or its connection was closed."""
        while True:
            began, url = time.perf_counter(), self.base + path
            try:
                answer = await (self.client.get(url) if body is None else self.client.post(url, json=body))
            except httpx.TransportError:
                self.lost += 1
                continue
            self.took.append(time.perf_counter() - began)
            if answer.status_code != 429:
                assert answer.status_code == 200, answer.text
                return answer.json() if "json" in answer.headers["content-type"] else {}
            self.refused += 1
            await asyncio.sleep(2 + self.chance.random())

    async def life(self, over: asyncio.Event) -> None:
        await asyncio.sleep(self.chance.random() * 3)
        await self.ask("")
        member = (await self.ask("/join", {}))["member"]
        while not over.is_set():
            state = await self.ask("/state")
            number = state["number"]
            if number and not state["revealed"] and number not in self.votes:
                for choice in (self.chance.randrange(3), self.chance.randrange(3)):
                    await self.ask("/vote", {"member": member, "number": number, "choice": choice})
                self.votes[number] = choice
            await asyncio.sleep(2.2 * (1 + self.chance.random()))


@pytest.mark.slow
def test_two_hundred_phones_vote_and_every_vote_is_counted_once(checkpoint, capsys):
    with running_app("--checkpoint", str(checkpoint)) as (address, _):
        config = json.loads(ask(address, "/config")[2])
        stage = next(c["id"] for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))

        def teach(name: str, data: dict) -> dict:
            body = {"data": data, "fn_name": name, "session_hash": "s", "component_id": stage}
            return json.loads(ask(address, f"{API}/component_server", body)[2])

        phones = asyncio.run(lesson(teach, address))
    took = sorted(second for phone in phones for second in phone.took)
    refused, lost = sum(phone.refused for phone in phones), sum(phone.lost for phone in phones)
    with capsys.disabled():
        half, p95 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.95))
        print(f"\n{PHONES} phones, {len(took)} requests, {refused} refused, {lost} lost, ", end="")
        print(f"half within {half:.0f} ms, 95 % within {p95:.0f} ms")


async def lesson(teach, address: str) -> list[Phone]:
    """A lesson of some questions, each compared with the phones' own account."""
    room, over = teach("room_open", {"address": f"{address}/"}), asyncio.Event()
    limits = httpx.Limits(max_connections=PHONES)
    async with (
        httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client,
        asyncio.TaskGroup() as lives,
    ):
        phones = [Phone(client, room["link"], n) for n in range(PHONES)]
        for phone in phones:
            lives.create_task(phone.life(over))
        for number in range(1, QUESTIONS + 1):
            await asyncio.to_thread(teach, "room_ask", {**room, "lesson": "diffusion"})
            while not all(number in phone.votes for phone in phones):
                await asyncio.sleep(0.5)
            revealed = await asyncio.to_thread(teach, "room_reveal", room)
            account = Counter(phone.votes[number] for phone in phones)
            assert revealed["counts"] == [account[n] for n in range(3)]
            assert revealed["votes"] == PHONES <= revealed["members"]
        over.set()
    return phones
