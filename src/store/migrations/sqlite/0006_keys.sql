-- An idempotency key is one name for a merchant, whatever its request makes: what one table has, the others skip.
CREATE TRIGGER idempotency_name BEFORE INSERT ON idempotency
WHEN EXISTS (SELECT 1 FROM endpoint_keys WHERE merchant = NEW.merchant AND key = NEW.key)
  OR EXISTS (SELECT 1 FROM profile_keys WHERE merchant = NEW.merchant AND key = NEW.key)
BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER endpoint_keys_name BEFORE INSERT ON endpoint_keys
WHEN EXISTS (SELECT 1 FROM idempotency WHERE merchant = NEW.merchant AND key = NEW.key)
  OR EXISTS (SELECT 1 FROM profile_keys WHERE merchant = NEW.merchant AND key = NEW.key)
BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER profile_keys_name BEFORE INSERT ON profile_keys
WHEN EXISTS (SELECT 1 FROM idempotency WHERE merchant = NEW.merchant AND key = NEW.key)
  OR EXISTS (SELECT 1 FROM endpoint_keys WHERE merchant = NEW.merchant AND key = NEW.key)
BEGIN SELECT RAISE(IGNORE); END;
