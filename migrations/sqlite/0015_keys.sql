-- Why: retention walks over events in the order of their ids; nothing looks for when they came.
DROP INDEX events_received;
