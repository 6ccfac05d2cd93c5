-- added: a schedule that was made at run time, which each worker that knows its task ticks.
ALTER TABLE schedules ADD COLUMN added boolean NOT NULL DEFAULT false;
