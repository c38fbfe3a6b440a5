"""SQLite for data and queue; with `PGDATABASE` set, PostgreSQL for data (host, port and user as libpq reads them)."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("BOOKSHOP_FOLDER", BASE_DIR))

SECRET_KEY = "an example's: it protects nothing"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "bookshop.urls"
WSGI_APPLICATION = "bookshop.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "orders"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

if "PGDATABASE" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "CONN_MAX_AGE": None,
            # Each view in a transaction: a task must be sent after it (`delay_on_commit`).
            "ATOMIC_REQUESTS": True,
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "db.sqlite3",
            "ATOMIC_REQUESTS": True,
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
        }
    }

CELERY_BROKER_URL = f"sqlite:///{FOLDER / 'queue.db'}"
CELERY_TASK_TIME_LIMIT = 60
CELERY_BEAT_SCHEDULE = {"forget-cancelled": {"task": "orders.tasks.forget_cancelled", "schedule": 3600.0}}
