-- What the machine lacks, and since when; null while it lacks nothing.
ALTER TABLE workers ADD COLUMN trouble TEXT;
ALTER TABLE workers ADD COLUMN trouble_since INTEGER;
