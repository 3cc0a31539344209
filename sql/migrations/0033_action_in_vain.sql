-- Which nodes an action was tried on in vain: from the node to the few events that say so, as
-- action_node_done finds the others. A run of the next so many nodes leaves them for the end.

CREATE INDEX action_node_in_vain ON action_node (node_id, action_event_id) WHERE outcome <> 'done';
