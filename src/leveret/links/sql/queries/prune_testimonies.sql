DELETE FROM testimonies WHERE at <= ?
