"""Celery's compositions: `chain`, `group`, `chord`, `chunks`, `xmap`, `xstarmap`, each in the module of its name."""
