SELECT name FROM nodes WHERE expires <= ? ORDER BY name
