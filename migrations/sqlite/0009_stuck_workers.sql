-- Why: the gateway's own cordon is for the run that ignores an order to stop, and ends with its cause; the
-- operator's stays in `cordoned` (R-22).

ALTER TABLE workers ADD COLUMN stuck TEXT;
