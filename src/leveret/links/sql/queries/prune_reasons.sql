DELETE FROM limit_reasons WHERE until < ?
