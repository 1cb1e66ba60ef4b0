-- Why: whoever declares a worker dead waits for the lease that it was granted, whatever its own
-- configuration says (R-36). Leases granted before, of a length that nobody wrote down, count as a minute
-- until they are renewed.

ALTER TABLE worker_leases ADD COLUMN lasts_micros INTEGER NOT NULL DEFAULT 60000000;
