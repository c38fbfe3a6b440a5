DELETE FROM added WHERE joined = ?
