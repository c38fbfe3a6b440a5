"""How to test a FastAPI application that sends tasks: `pytest examples/fastapi`."""

from fastapi.testclient import TestClient

from leveret.testing import using

from .bookshop import api, app, ship


def test_an_order_is_shipped() -> None:
    with using(app) as stage, TestClient(api) as client:
        order = client.post("/orders/", params={"title": "Momo"}).json()["id"]
        stage.assert_sent(ship, "Momo")
        assert client.get(f"/orders/{order}/").json() == {"state": "PENDING", "title": ""}

        stage.run_until_idle()

        assert client.get(f"/orders/{order}/").json() == {"state": "SUCCESS", "title": "Momo"}
