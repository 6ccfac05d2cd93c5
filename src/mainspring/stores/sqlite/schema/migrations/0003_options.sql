-- Options that a job has of its own, as JSON text; NULL for most. Last, so that a row without them
-- takes no byte more.
ALTER TABLE mainspring_jobs ADD COLUMN options TEXT;
ALTER TABLE mainspring_finished ADD COLUMN options TEXT;
