"""One Django view: a query, the first `delay()`, a query, the other sends, a query."""

import os
import time

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from shop import send

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DJANGO_DATABASE"]}},
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="a test's",
    INSTALLED_APPS=["django.contrib.contenttypes"],
)
django.setup()


def view(request: HttpRequest) -> JsonResponse:
    start, count = int(request.GET["start"]), int(request.GET["count"])
    query()
    began = time.monotonic()
    send(start, 1)
    query()
    send(start + 1, count - 1)
    ended = time.monotonic()
    return JsonResponse({"pid": os.getpid(), "began": began, "ended": ended, "answer": query()})


def query() -> int:
    from django.db import connection  # noqa: PLC0415 - needs the settings above

    with connection.cursor() as cursor:
        cursor.execute("select 42")
        row = cursor.fetchone()
    return int(row[0])


urlpatterns = [path("", view)]
application = get_wsgi_application()
