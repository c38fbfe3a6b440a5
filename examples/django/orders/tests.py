"""`python manage.py test`: what a view sends is tested without a worker, what a task does with one in the test."""

from bookshop.celery import app
from django.test import TestCase

from leveret.testing import using

from .models import Order
from .tasks import count, ship


class Orders(TestCase):
    def test_an_order_is_shipped_when_its_transaction_is_committed(self) -> None:
        with using(app) as stage, self.captureOnCommitCallbacks(execute=True):
            self.client.post("/orders/?title=Watership+Down")
            assert stage.sent(ship) == [], "not before the commit"

        with using(app) as stage:
            with self.captureOnCommitCallbacks(execute=True):
                order = self.client.post("/orders/?title=Pippi").json()
            stage.run_until_idle()

        self.assertEqual(Order.objects.get(pk=order["id"]).state, Order.State.SHIPPED)

    def test_an_order_that_fails_sends_nothing(self) -> None:
        with using(app) as stage:
            with self.assertRaises(ValueError):
                self.client.post("/orders/?title=a+forbidden+book")

            self.assertEqual(stage.sent(ship), [])
        self.assertEqual(Order.objects.count(), 0)

    def test_shipping_twice_ships_once(self) -> None:
        order = Order.objects.create(title="Momo")

        ship.apply((order.pk,)).get()
        first = Order.objects.get(pk=order.pk).shipped_at
        ship.apply((order.pk,)).get()

        self.assertEqual(Order.objects.get(pk=order.pk).shipped_at, first)

    async def test_a_coroutine_asks_the_orm(self) -> None:
        await Order.objects.acreate(title="Heidi")

        self.assertEqual((await count.aapply(("placed",))).get(), 1)
