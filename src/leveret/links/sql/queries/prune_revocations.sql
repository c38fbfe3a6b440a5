DELETE FROM revocations WHERE until <= ?
