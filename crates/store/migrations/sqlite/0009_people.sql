-- People: who they are, what they may do, how they are signed in. What proves somebody (a password, a cookie, a token, a link) is kept
-- as a hash only: whoever reads the file can be nobody.

CREATE TABLE people (
    id          INTEGER PRIMARY KEY,
    email       TEXT NOT NULL UNIQUE,   -- in small letters; the name in the audit log, so no two people ever share one
    name        TEXT NOT NULL,          -- as others read it
    password    TEXT,                   -- Argon2id, as a PHC string; NULL = none is set (invited, or single sign-on alone)
    issuer      TEXT,                   -- single sign-on: who vouches …
    subject     TEXT,                   -- … and what they call this person; never the e-mail address, which can change hands
    totp        BLOB,                   -- the secret of the authenticator app, sealed; NULL = none
    totp_step   INTEGER,                -- the last half-minute whose code was used; NULL = the app has not proven itself yet
    made_at     INTEGER NOT NULL,
    disabled_at INTEGER,                -- NULL = may sign in; a person is never removed, because the audit log names them
    UNIQUE (issuer, subject),
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    CHECK (totp_step IS NULL OR totp IS NOT NULL)
) STRICT;

-- What a person is to a brand; several add up.
CREATE TABLE person_roles (
    person INTEGER NOT NULL REFERENCES people (id),
    brand  TEXT NOT NULL,
    role   TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'finance', 'engineer', 'admin')),
    PRIMARY KEY (person, brand, role)
) STRICT, WITHOUT ROWID;

-- What opens the door once when the authenticator app is lost.
CREATE TABLE recovery_codes (
    person INTEGER NOT NULL REFERENCES people (id),
    hash   BLOB NOT NULL CHECK (length(hash) = 32), -- BLAKE3; the row goes when the code is used
    PRIMARY KEY (person, hash)
) STRICT, WITHOUT ROWID;

-- Who is signed in. A row goes when the person signs out, is revoked, or stays away.
CREATE TABLE sessions (
    id      INTEGER PRIMARY KEY,
    person  INTEGER NOT NULL REFERENCES people (id),
    hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32), -- BLAKE3 of what the cookie holds
    proven  INTEGER NOT NULL CHECK (proven IN (0, 1)), -- 0 = the password was right, the authenticator app is still asked
    made_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,           -- to the minute, so that reading a page need not write
    address TEXT NOT NULL,              -- from where it was opened
    agent   TEXT NOT NULL               -- what the browser called itself, cut
) STRICT;
CREATE INDEX sessions_by_person ON sessions (person);

-- Tokens of the API. A row goes when it is revoked; an expired one stays to be seen, and is refused.
CREATE TABLE api_tokens (
    id         INTEGER PRIMARY KEY,
    brand      TEXT NOT NULL,           -- the one brand that it opens
    person     INTEGER NOT NULL REFERENCES people (id), -- in whose name it acts, and never with more rights
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     TEXT NOT NULL,           -- rights, with a blank between them
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER                  -- to the minute
) STRICT;
CREATE INDEX api_tokens_by_person ON api_tokens (person);

-- Links that are good once: the first admin's set-up, and a person's next password.
CREATE TABLE links (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    person     INTEGER UNIQUE REFERENCES people (id), -- who sets a password with it; NULL = whoever opens it names the first admin
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Log-ins that failed, so that the next ones wait. Rows go a day after the last failure.
CREATE TABLE login_failures (
    kind    TEXT NOT NULL CHECK (kind IN ('address', 'account', 'known')), -- of an address; of an account from strangers; of an account from where it is known
    key     TEXT NOT NULL,
    count   INTEGER NOT NULL CHECK (count > 0), -- in a row
    last_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,           -- nothing is looked at before
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX login_failures_by_age ON login_failures (last_at);

-- From where a person has signed in lately: strangers' failures do not keep them out there.
CREATE TABLE known_addresses (
    person  INTEGER NOT NULL REFERENCES people (id),
    address TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (person, address)
) STRICT, WITHOUT ROWID;

-- Which acts take a second person.
CREATE TABLE four_eyes (
    brand TEXT PRIMARY KEY,
    acts  TEXT NOT NULL                 -- JSON; the audit log says who marked them, and when
) STRICT, WITHOUT ROWID;

-- Acts that wait, or waited, for a second person.
CREATE TABLE approvals (
    id         INTEGER PRIMARY KEY,
    brand      TEXT NOT NULL,
    act        TEXT NOT NULL,           -- JSON: everything that is needed to do it
    asker      INTEGER REFERENCES people (id), -- NULL = asked at the command line
    asked_by   TEXT NOT NULL,           -- as the audit log names them
    asked_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,        -- a pending one is over then
    state      TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'done')), -- approved = allowed, and to be done by its asker: signing
    decided_by TEXT,
    decided_at INTEGER,
    reason     TEXT,                    -- of a rejection
    CHECK ((state = 'pending') = (decided_by IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL))
) STRICT;
CREATE INDEX approvals_by_state ON approvals (brand, state, id);
