SECRET_KEY = "a test's"
INSTALLED_APPS = ["orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

CELERY_BROKER_URL = "amqp://shop:secret@mq1/shop"
CELERY_RESULT_BACKEND = "django-db"
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_TASK_TIME_LIMIT = 60
CELERY_WORKER_STATE_DB = "/var/lib/shop/state"
CELERY_WORKER_MAX_TASKS_PER_CHILDREN = 100
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
