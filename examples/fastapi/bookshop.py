"""A bookshop on FastAPI: views await what they send, a worker with coroutine slots does the shipping.

`LEVERET_BROKER_URL` says where the queue is; without it, in `.leveret/queue.db` of the project.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from leveret import AsyncResult, Leveret, current_task

app = Leveret("bookshop", worker_pool="asyncio")


@app.lifespan
async def warehouse() -> AsyncIterator[asyncio.Semaphore]:
    """What a worker process opens once, for all its tasks."""
    yield asyncio.Semaphore(2)


@app.task(time_limit=60)
async def ship(title: str) -> str:
    async with current_task.lifespan:
        await asyncio.sleep(0.01)
    return title


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """The connection of this process's loop is closed with the server."""
    async with app:
        yield


api = FastAPI(lifespan=lifespan)


async def queue() -> Leveret:
    """A dependency, so that a test can put another app in its place."""
    return app


Queue = Annotated[Leveret, Depends(queue)]


@api.post("/orders/")
async def place(title: str) -> dict[str, str]:
    sent = await ship.adelay(title)
    return {"id": sent.id}


@api.get("/orders/{order_id}/")
async def show(order_id: str, queue: Queue) -> dict[str, str]:
    order: AsyncResult[str] = queue.AsyncResult(order_id)
    state = await order.astate()
    return {"state": state, "title": await order if state == "SUCCESS" else ""}
