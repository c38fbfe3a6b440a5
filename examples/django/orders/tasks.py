"""Tasks that use the ORM. The app finds this module by itself (`autodiscover_tasks`)."""

from django.db import OperationalError, transaction
from django.utils import timezone

from leveret import shared_task

from .models import Order


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True)
def ship(order_id: int) -> str:
    """Ship an order, once however often it is delivered."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.state == Order.State.PLACED:
            order.state, order.shipped_at = Order.State.SHIPPED, timezone.now()
            order.save()
    return str(order)


@shared_task
async def count(state: str) -> int:
    """How many orders are in a state: Django's async ORM in a coroutine."""
    return await Order.objects.filter(state=state).acount()


@shared_task
def forget_cancelled() -> int:
    """Run every hour (`CELERY_BEAT_SCHEDULE`)."""
    return Order.objects.filter(state=Order.State.CANCELLED).delete()[0]
