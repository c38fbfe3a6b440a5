DELETE FROM limits WHERE kept <= ?
