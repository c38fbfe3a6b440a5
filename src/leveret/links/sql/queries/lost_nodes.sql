SELECT incarnation FROM nodes WHERE expires <= ?
