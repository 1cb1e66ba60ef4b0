-- Why: an index that begins with the session costs every event a page of its own, and nobody looks an event
-- up by its number: readers go on from a position. Numbers are dense and unique because they are given
-- under the lock of the shard, out of `session_heads`, in the transaction that gives the position; and a
-- position is taken once, by the key of the table.

DROP INDEX events_seq;
