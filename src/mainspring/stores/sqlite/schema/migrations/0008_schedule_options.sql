-- Options, tags and metadata of a schedule's jobs, as JSON text like that of a job; NULL for most.
ALTER TABLE mainspring_schedules ADD COLUMN options TEXT;
