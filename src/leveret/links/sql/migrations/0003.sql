-- A join in which a member failed is closed: it never completes, whoever arrives later.
ALTER TABLE joins ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
