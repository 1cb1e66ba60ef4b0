-- Why: a session that has failed by itself is not started again before a time that grows (R-36).

ALTER TABLE sessions ADD COLUMN not_before INTEGER;
