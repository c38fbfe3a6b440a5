SELECT results.id FROM json_each(?) CROSS JOIN results ON results.id = json_each.value
WHERE results.state = 'REVOKED'
