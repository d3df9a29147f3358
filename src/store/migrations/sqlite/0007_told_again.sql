-- A request that has events told again makes no endpoint: its key stands for how many are told.
ALTER TABLE endpoint_keys RENAME COLUMN endpoint_id TO made;
