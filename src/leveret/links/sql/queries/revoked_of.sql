SELECT results.id FROM json_each(:marks) CROSS JOIN results ON results.id = json_each.value
WHERE results.state = 'REVOKED'
UNION
SELECT mark FROM json_each(:marks) CROSS JOIN revocations ON mark = json_each.value
