"""A reusable app that does what one should not: it asks the database while Django starts."""

from django.apps import AppConfig


class OddConfig(AppConfig):
    name = "odd"

    def ready(self) -> None:
        from django.db import connection  # noqa: PLC0415 - needs the apps

        with connection.cursor() as cursor:
            cursor.execute("select 1")
