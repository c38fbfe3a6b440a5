from datetime import datetime, timedelta

from celery.bootsteps import StartStopStep
from shop.celery import app

from .tasks import remind, ship


def place(request):
    ship.apply_async((1,), producer=None, tenant="a")
    remind.apply_async((1,), eta=datetime.now() + timedelta(days=1))
    return app.control.inspect().active(), app.amqp, StartStopStep
