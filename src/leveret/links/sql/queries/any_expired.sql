SELECT EXISTS (SELECT 1 FROM joins WHERE expires <= ?)
    OR EXISTS (SELECT 1 FROM dead WHERE at <= ?)
