"""`leveret flower`: what Celery's client is told, and who is told to use something else."""

import pytest

from leveret import Leveret
from leveret.cli.watch.flower import places
from leveret.errors import ImproperlyConfigured


def told(**settings):
    return places(Leveret("shop", set_as_current=False, **settings).conf.settings)


def test_results_are_looked_for_where_the_app_keeps_them():
    assert told(broker="redis://host/1")["result_backend"] == "redis://host/1"
    assert told(broker="amqp://host")["result_backend"] == "rpc://"
    assert told(broker="amqp://host", backend="redis://other/2")["result_backend"] == "redis://other/2"


def test_what_names_places_is_handed_on():
    shared = told(broker="redis://u:secret@host/1", control_exchange="ours", event_exchange="ours.ev")
    assert shared["broker_url"] == "redis://u:secret@host/1"
    assert (shared["control_exchange"], shared["event_exchange"]) == ("ours", "ours.ev")


def test_a_broker_celery_does_not_know_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match=r"does not know sqlite://.*leveret events"):
        told(broker="sqlite:///queue.db")
