SELECT tick, reap_from FROM fleet
