UPDATE sessions SET number = ? WHERE no = ?
