SELECT facts FROM nodes WHERE expires > ? ORDER BY name
