SELECT key, state FROM limits WHERE kind = 'breaker'
