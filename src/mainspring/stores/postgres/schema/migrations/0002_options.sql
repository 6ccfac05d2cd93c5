-- Options that a job has of its own, as JSON text; NULL for most.
ALTER TABLE jobs ADD COLUMN options text;
ALTER TABLE finished ADD COLUMN options text;
