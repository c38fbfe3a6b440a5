from celery import Task, shared_task
from celery.utils.log import get_task_logger

from .models import Order

log = get_task_logger(__name__)


class Traced(Task):
    def apply_async(self, *args, **kwargs):
        return super().apply_async(*args, **kwargs)


@shared_task(base=Traced, bind=True, acks_late=True)
def ship(self, order_id):
    log.info("shipping %s", Order.objects.get(pk=order_id))


@shared_task(rate_limit="10/m")
def remind(order_id):
    pass
