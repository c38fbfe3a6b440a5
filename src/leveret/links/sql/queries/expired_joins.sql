SELECT id FROM joins WHERE expires <= ? LIMIT ?
