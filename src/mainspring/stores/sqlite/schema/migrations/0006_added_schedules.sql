-- added: 1 for a schedule that was made at run time, which each worker that knows its task ticks.
ALTER TABLE mainspring_schedules ADD COLUMN added INTEGER NOT NULL DEFAULT 0;
