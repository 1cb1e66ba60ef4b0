-- Why: every heartbeat asks what its worker holds. With everything that is asked in the index, the rows of
-- a hundred sessions, each on a page of its own, need not be read.

DROP INDEX sessions_held;
CREATE INDEX sessions_held ON sessions (worker_id, incarnation, id, epoch, status, phase)
    WHERE worker_id IS NOT NULL;
