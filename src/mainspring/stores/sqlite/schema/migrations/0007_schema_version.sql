-- The version of this schema. The file's own `user_version` and `application_id` are the user's: the
-- tables of the user's program may stand beside ours, whose names all begin with `mainspring_`.
CREATE TABLE mainspring_schema_version (version INTEGER NOT NULL);
INSERT INTO mainspring_schema_version VALUES (7);
