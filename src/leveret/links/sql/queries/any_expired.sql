SELECT EXISTS (SELECT 1 FROM results WHERE expires <= ?1)
    OR EXISTS (SELECT 1 FROM joins WHERE expires <= ?1)
    OR EXISTS (SELECT 1 FROM dead WHERE at <= ?2)
