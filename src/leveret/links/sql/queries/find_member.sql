SELECT place FROM added WHERE joined = ? AND member = ?
