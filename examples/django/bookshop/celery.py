import os

from leveret import Leveret  # the one line that a project on Celery changes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookshop.settings")

app = Leveret("bookshop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
