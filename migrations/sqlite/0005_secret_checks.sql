-- Why: data that was encrypted under a secret, or ids that follow from one, must not meet another secret (R-5).
-- One value per secret and number of its key, from which the secret cannot be found.
CREATE TABLE secret_checks (
    secret TEXT    NOT NULL,
    number INTEGER NOT NULL,
    value  TEXT    NOT NULL,
    PRIMARY KEY (secret, number)
) STRICT;
