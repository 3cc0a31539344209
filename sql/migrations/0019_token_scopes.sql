-- Tokens have scopes in the place of a role: each says one thing that a program may do.

CREATE TABLE api_token_scope (
    token_id integer NOT NULL REFERENCES api_token (token_id) ON DELETE CASCADE,
    scope text NOT NULL CHECK (scope IN ('read', 'label', 'write', 'admin', 'worker', 'database')),
    PRIMARY KEY (token_id, scope)
);
COMMENT ON TABLE api_token_scope IS 'What a token may do at most; never more than its owner';
COMMENT ON COLUMN api_token_scope.token_id IS 'Of which token';
COMMENT ON COLUMN api_token_scope.scope IS 'read, label, write, admin: what the roles viewer, labeller, operator, admin may; worker: tasks; database: selectors and intents';

INSERT INTO api_token_scope (token_id, scope)
SELECT token_id, scope FROM api_token JOIN (VALUES
    ('viewer', 'read'), ('labeller', 'label'), ('operator', 'read'), ('operator', 'write'),
    ('admin', 'read'), ('admin', 'write'), ('admin', 'admin')
) AS may (role, scope) USING (role);
ALTER TABLE api_token DROP COLUMN role;

-- Keys of requests belong to an account and not to a name; a command of the shell sends none.
UPDATE request_key SET account = person.user_id::text
FROM app_user AS person WHERE person.name = request_key.account;
COMMENT ON COLUMN request_key.account IS 'Who asked: the number of the account, or the name of an owner of the store';
