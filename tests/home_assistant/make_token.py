"""Makes a long-lived access token as Home Assistant's own pages do: python make_token.py BASE USER PASSWORD NAME"""

import asyncio
import sys

import aiohttp


async def main(base, user, password, name):
    client = base + "/"
    async with aiohttp.ClientSession() as session:

        async def post(path, **how):
            return await (await session.post(base + path, **how)).json()

        wanted = {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client}
        flow = await post("/auth/login_flow", json=wanted)
        login = {"client_id": client, "username": user, "password": password}
        flow = await post("/auth/login_flow/" + flow["flow_id"], json=login)
        grant = {"grant_type": "authorization_code", "code": flow["result"], "client_id": client}
        short = await post("/auth/token", data=grant)
        async with session.ws_connect(base + "/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": short["access_token"]})
            await socket.receive_json()
            await socket.send_json({"id": 1, "type": "auth/long_lived_access_token", "client_name": name, "lifespan": 30})
            print((await socket.receive_json())["result"])


asyncio.run(main(*sys.argv[1:]))
