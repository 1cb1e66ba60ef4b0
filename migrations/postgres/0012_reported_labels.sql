-- Why: what a worker says of itself is kept apart from what an operator says of it.

ALTER TABLE workers ADD COLUMN reported_labels JSONB NOT NULL DEFAULT '{}';
