"""Details of the wire: JSON tags, protocol fields."""
