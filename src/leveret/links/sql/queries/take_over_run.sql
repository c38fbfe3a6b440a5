UPDATE runs SET session = ?, at = ? WHERE id = ? AND attempt = ?
