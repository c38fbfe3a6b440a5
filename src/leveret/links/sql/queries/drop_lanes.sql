DELETE FROM lanes WHERE queue = ?
