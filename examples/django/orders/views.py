from django.http import HttpRequest, JsonResponse

from .models import Order
from .tasks import ship


def place(request: HttpRequest) -> JsonResponse:
    """Place an order; a worker ships it as soon as this request's transaction is committed."""
    order = Order.objects.create(title=request.GET["title"])
    # `ship.delay(order.pk)` could reach a worker before the row is there, and would be sent even if we fail below.
    ship.delay_on_commit(order.pk)
    if order.title == "a forbidden book":
        raise ValueError("nobody may order that")
    return JsonResponse({"id": order.pk})


def show(request: HttpRequest, order_id: int) -> JsonResponse:
    order = Order.objects.get(pk=order_id)
    return JsonResponse({"title": order.title, "state": order.state})
