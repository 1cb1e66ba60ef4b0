-- Why: a session of whose worker nothing is heard is not shown as connected (R-21). Both or none.

ALTER TABLE sessions ADD COLUMN silence_since INTEGER;
ALTER TABLE sessions ADD COLUMN silence_until INTEGER;
