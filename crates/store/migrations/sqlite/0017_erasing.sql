-- What somebody wrote under a checklist is taken out of it when they name a person who asks for that; what was signed stays.
DROP TRIGGER check_signs_are_not_changed;
CREATE TRIGGER check_signs_are_not_changed BEFORE UPDATE OF brand, list, period, at, actor, unticked, digest ON check_signs
BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;
CREATE TRIGGER check_signs_reasons_are_not_changed BEFORE UPDATE OF reason ON check_signs WHEN instr(NEW.reason, '[erased]') = 0
BEGIN SELECT RAISE(ABORT, 'what was signed stays signed'); END;
