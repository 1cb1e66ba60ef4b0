-- Why: a session is not started again where it has just failed (R-30), and one under which several workers
-- have died is set aside (R-39).

ALTER TABLE sessions ADD COLUMN setbacks TEXT NOT NULL DEFAULT '{}';
