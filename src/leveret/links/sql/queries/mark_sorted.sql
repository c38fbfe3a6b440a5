UPDATE fleet SET sorted = ? WHERE one = 1
