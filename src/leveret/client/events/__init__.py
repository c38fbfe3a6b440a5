"""`app.events`: watching what happens, from Python, as Celery has it."""
